// MQTT 3.1.1 load generator: N connections publish M messages each at QoS 0 or 1 with a window in flight.
//
// Every connection is a device of its own: user name, password and topic are formats that take its number. Message
// `seq` of connection `id` is a pure function of both, so that a checker that was not there can tell what every stored
// value has to be:
//   ts = base_ms + seq * step_ms    kwh = seq / 1000    v = 230 + (seq % 100) / 10    i = (id + seq) % 1000 / 100
//
// With --acked FILE each acknowledged (id, seq) is appended to FILE as two little-endian uint32 before anything else is
// sent: what stands there was acknowledged, whatever dies afterwards. With --reconnect a lost connection is opened again
// and everything unacknowledged is sent again with DUP set. SIGUSR1 ends the sending and waits for what is unacknowledged,
// SIGTERM ends at once. Events and the result are JSON lines on standard output.
//
// Must never: count a message as acknowledged that was not, or wait without a limit (--limit).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  OUT_SIZE = 65536,       // several windows of 20 messages of 120 bytes
  OUT_ROOM = 512,         // the longest packet made here
  IN_SIZE = 8192,         // 2,048 acknowledgements in one read
  TEXT_MAX = 200,         // topic, user name, password
  EVENTS_MAX = 512,
  WINDOW_MAX = 1024,
  ACKS_BUFFERED_MAX = 1 << 16,
  RETRY_MS = 50,          // between attempts to reconnect
  LATENCY_BUCKETS = 2048, // 16 per power of two of microseconds
};

enum state { DOWN, OPENING, GREETED, UP, DONE };

struct connection {
  int fd;
  uint32_t id;
  enum state state;
  uint64_t low;    // everything below is acknowledged (QoS 0: sent)
  uint64_t high;   // everything from here on was never sent
  uint64_t cursor; // next to send on this connection; below `high` it is a repetition
  bool pinged, answered;
  bool writing; // EPOLLOUT is armed
  double retry_at;
  int topic_length, out_start, out_end, in_end;
  uint8_t topic[TEXT_MAX + 2];
  uint8_t acked[WINDOW_MAX]; // of [low, low + window), by seq % window
  double sent_at[WINDOW_MAX];
  uint8_t out[OUT_SIZE], in[IN_SIZE];
};

static struct {
  const char *host, *topic, *user, *password, *client, *acked_path;
  int port, connections, qos, window;
  uint64_t messages, base_ms, step_ms, first_seq;
  double seconds, limit;
  bool reconnect;
} opt = {
    .host = "127.0.0.1", .topic = "telemetry", .client = "load-%06d", .port = 1883, .connections = 100, .qos = 1,
    .window = 20, .messages = 1000, .base_ms = 1767225600000, .step_ms = 1000, .limit = 600,
};

static struct connection *all;
static int epoll_fd, acked_fd = -1, up_count, done_count;
static uint64_t total_sent, total_acked, total_resent, total_reconnects, outage_unacknowledged;
static bool everyone_was_up, in_outage;
static double started_at, last_ack_at, outage_at, now_s;
static uint32_t ack_records[ACKS_BUFFERED_MAX][2];
static int ack_records_n;
static uint64_t latency[LATENCY_BUCKETS];
static volatile sig_atomic_t asked_to_stop, asked_to_drain;

static double clock_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_signal(int number) {
  if (number == SIGUSR1) asked_to_drain = 1;
  else asked_to_stop = 1;
}

static void fail(const char *what) {
  fprintf(stderr, "mqload: %s: %s\n", what, strerror(errno));
  exit(2);
}

// ---- bytes ----

static int put_text(uint8_t *at, const char *text) {
  int n = (int)strlen(text);
  at[0] = (uint8_t)(n >> 8);
  at[1] = (uint8_t)n;
  memcpy(at + 2, text, (size_t)n);
  return n + 2;
}

static int put_length(uint8_t *at, int n) {
  int i = 0;
  do {
    uint8_t byte = n & 127;
    n >>= 7;
    at[i++] = n ? byte | 128 : byte;
  } while (n);
  return i;
}

static uint8_t *put_number(uint8_t *at, uint64_t n) {
  char digits[20];
  int i = 20;
  do digits[--i] = (char)('0' + n % 10); while (n /= 10);
  memcpy(at, digits + i, (size_t)(20 - i));
  return at + 20 - i;
}

#define PUT_LITERAL(at, text) (memcpy(at, text, sizeof text - 1), (at) + sizeof text - 1)

static uint8_t *put_payload(uint8_t *at, uint32_t id, uint64_t seq) {
  at = PUT_LITERAL(at, "{\"ts\":");
  at = put_number(at, opt.base_ms + seq * opt.step_ms);
  at = PUT_LITERAL(at, ",\"values\":{\"kwh\":");
  at = put_number(at, seq / 1000);
  *at++ = '.';
  *at++ = (uint8_t)('0' + seq / 100 % 10);
  *at++ = (uint8_t)('0' + seq / 10 % 10);
  *at++ = (uint8_t)('0' + seq % 10);
  at = PUT_LITERAL(at, ",\"v\":");
  at = put_number(at, 230 + seq % 100 / 10);
  *at++ = '.';
  *at++ = (uint8_t)('0' + seq % 10);
  at = PUT_LITERAL(at, ",\"i\":");
  uint64_t i = (id + seq) % 1000;
  at = put_number(at, i / 100);
  *at++ = '.';
  *at++ = (uint8_t)('0' + i / 10 % 10);
  *at++ = (uint8_t)('0' + i % 10);
  return PUT_LITERAL(at, "}}");
}

static int put_publish(uint8_t *out, const struct connection *c, uint64_t seq, bool repeated) {
  uint8_t body[OUT_ROOM], *at = body;
  memcpy(at, c->topic, (size_t)c->topic_length);
  at += c->topic_length;
  if (opt.qos) {
    int packet_id = (int)(seq % 65535) + 1;
    *at++ = (uint8_t)(packet_id >> 8);
    *at++ = (uint8_t)packet_id;
  }
  at = put_payload(at, c->id, seq);
  int n = (int)(at - body);
  out[0] = (uint8_t)(0x30 | opt.qos << 1 | (repeated ? 8 : 0));
  int head = 1 + put_length(out + 1, n);
  memcpy(out + head, body, (size_t)n);
  return head + n;
}

static int put_connect(uint8_t *out, uint32_t id) {
  uint8_t body[4 * TEXT_MAX + 32];
  char text[TEXT_MAX];
  int n = put_text(body, "MQTT");
  body[n++] = 4;
  // Who resends unacknowledged messages keeps its session (3.1.1 §4.4): clean session only without --reconnect.
  body[n++] = (uint8_t)((opt.reconnect ? 0 : 2) | (opt.user ? 0x80 : 0) | (opt.password ? 0x40 : 0));
  body[n++] = 0;
  body[n++] = 0;
  snprintf(text, sizeof text, opt.client, id);
  n += put_text(body + n, text);
  if (opt.user) snprintf(text, sizeof text, opt.user, id), n += put_text(body + n, text);
  if (opt.password) snprintf(text, sizeof text, opt.password, id), n += put_text(body + n, text);
  out[0] = 0x10;
  int head = 1 + put_length(out + 1, n);
  memcpy(out + head, body, (size_t)n);
  return head + n;
}

// ---- what is kept outside ----

static void flush_acks(void) {
  const char *at = (const char *)ack_records;
  size_t left = (size_t)ack_records_n * sizeof ack_records[0];
  while (left) {
    ssize_t n = write(acked_fd, at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("write the acknowledged");
    at += n;
    left -= (size_t)n;
  }
  ack_records_n = 0;
}

static void record_ack(uint32_t id, uint64_t seq) {
  if (acked_fd < 0) return;
  ack_records[ack_records_n][0] = id;
  ack_records[ack_records_n][1] = (uint32_t)seq;
  if (++ack_records_n == ACKS_BUFFERED_MAX) flush_acks();
}

static int latency_bucket(double seconds) {
  uint64_t us = (uint64_t)(seconds * 1e6);
  if (us < 16) return (int)us;
  int power = 63 - __builtin_clzll(us);
  int bucket = (power - 3) * 16 + (int)(us >> (power - 4) & 15);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static double latency_ms(double quantile) {
  uint64_t wanted = (uint64_t)((double)total_acked * quantile), seen = 0;
  for (int b = 0; b < LATENCY_BUCKETS; b++) {
    seen += latency[b];
    if (seen > wanted) return (b < 16 ? b : (double)((uint64_t)(16 + b % 16) << (b / 16 - 1))) / 1e3;
  }
  return 0;
}

// ---- connections ----

static void watch(struct connection *c, bool writing) {
  if (c->writing == writing) return;
  c->writing = writing;
  struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e)) fail("epoll_ctl");
}

static void lose(struct connection *c) {
  if (c->state == DOWN) return;
  if (c->state == DONE) { // it has nothing left to lose
    close(c->fd);
    c->fd = -1;
    return;
  }
  if (c->state == UP) {
    up_count--;
    outage_unacknowledged += c->high - c->low;
    if (!in_outage) in_outage = true, outage_at = now_s;
    if (up_count == 0) {
      printf("{\"event\":\"lost\",\"at\":%.6f,\"unacknowledged\":%lu,\"acked\":%lu}\n", now_s, outage_unacknowledged,
             total_acked);
      fflush(stdout);
    }
  }
  close(c->fd);
  c->fd = -1;
  c->state = DOWN;
  c->retry_at = now_s + RETRY_MS / 1e3;
}

static void open_connection(struct connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  if (inet_pton(AF_INET, opt.host, &address.sin_addr) != 1) fail(opt.host);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket");
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->in_end = c->out_start = 0;
  c->out_end = put_connect(c->out, c->id);
  c->cursor = c->low;
  c->state = OPENING;
  c->writing = true;
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e)) fail("epoll_ctl");
  if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) lose(c);
}

static bool write_out(struct connection *c) {
  while (c->out_start < c->out_end) {
    ssize_t n = write(c->fd, c->out + c->out_start, (size_t)(c->out_end - c->out_start));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, (size_t)(c->out_end - c->out_start));
        c->out_end -= c->out_start;
        c->out_start = 0;
      }
      watch(c, true);
      return true;
    }
    if (n <= 0) {
      lose(c);
      return false;
    }
    c->out_start += (int)n;
  }
  c->out_start = c->out_end = 0;
  watch(c, false);
  return true;
}

static void finish(struct connection *c) {
  c->state = DONE;
  done_count++;
}

static void fill(struct connection *c, bool over) {
  uint64_t until = over ? c->high : opt.messages;
  while (c->cursor < until && (!opt.qos || c->cursor < c->low + (uint64_t)opt.window) &&
         c->out_end < OUT_SIZE - OUT_ROOM) {
    uint64_t seq = c->cursor++;
    bool repeated = seq < c->high;
    if (opt.qos && repeated && c->acked[seq % (uint64_t)opt.window]) continue;
    c->out_end += put_publish(c->out + c->out_end, c, seq, repeated);
    c->sent_at[seq % (uint64_t)opt.window] = now_s;
    if (repeated) {
      total_resent++;
    } else {
      c->high = seq + 1;
      total_sent++;
    }
    if (!opt.qos) c->low = c->high;
  }
}

static bool no_more(void) { return asked_to_drain || (opt.seconds > 0 && now_s - started_at > opt.seconds); }

static void publish(struct connection *c) {
  if (!everyone_was_up || c->state != UP) return;
  bool over = no_more();
  uint64_t before;
  do {
    before = c->cursor;
    fill(c, over);
    if (!write_out(c)) return;
  } while (c->out_end == 0 && c->cursor > before); // QoS 0 has no window: on until the socket is full
  bool all_sent = c->high >= opt.messages || over;
  if (!opt.qos && all_sent && !c->pinged && c->out_end < OUT_SIZE - OUT_ROOM) {
    // QoS 0 has no acknowledgement: the answer to a PINGREQ behind the last message says that all were read.
    c->out[c->out_end++] = 0xC0;
    c->out[c->out_end++] = 0;
    c->pinged = true;
  }
  if (!write_out(c)) return;
  if (all_sent && c->out_end == 0 && (opt.qos ? c->low >= c->high : c->answered)) finish(c);
}

static void take_puback(struct connection *c, int packet_id) {
  // The window is far below 65,535, so the packet id names exactly one sequence number at or above `low`.
  uint64_t base = c->low - c->low % 65535;
  uint64_t seq = base + (uint64_t)(packet_id - 1);
  if (seq < c->low) seq += 65535;
  uint64_t slot = seq % (uint64_t)opt.window;
  if (seq >= c->high || c->acked[slot]) return; // acknowledged before, or on the connection that was lost
  c->acked[slot] = 1;
  total_acked++;
  last_ack_at = now_s;
  latency[latency_bucket(now_s - c->sent_at[slot])]++;
  record_ack(c->id, seq);
  while (c->low < c->high && c->acked[c->low % (uint64_t)opt.window]) c->acked[c->low++ % (uint64_t)opt.window] = 0;
}

static void welcome(struct connection *c, int code) {
  if (code == 3 && opt.reconnect) { // the server is unavailable (3.1.1 §3.2.2.3): that is not for good
    lose(c);
    return;
  }
  if (code) {
    printf("{\"event\":\"refused\",\"connection\":%u,\"code\":%d}\n", c->id, code);
    exit(3);
  }
  c->state = UP;
  if (++up_count < opt.connections) {
    if (everyone_was_up) publish(c);
    return;
  }
  if (!everyone_was_up) {
    everyone_was_up = true;
    started_at = now_s = clock_now();
    printf("{\"event\":\"up\",\"at\":%.6f}\n", now_s);
    fflush(stdout);
    for (int i = 0; i < opt.connections; i++) publish(&all[i]);
  } else {
    printf("{\"event\":\"back\",\"at\":%.6f,\"seconds\":%.3f}\n", now_s, now_s - outage_at);
    fflush(stdout);
    in_outage = false;
    outage_unacknowledged = 0;
    publish(c);
  }
}

static bool take_packets(struct connection *c) {
  int at = 0;
  while (c->in_end - at >= 2) {
    int length = c->in[at + 1];
    if (length > 127) {
      fprintf(stderr, "mqload: unexpected packet 0x%02x\n", c->in[at]);
      exit(2);
    }
    if (c->in_end - at < 2 + length) break;
    int type = c->in[at] >> 4;
    if (type == 2) welcome(c, c->in[at + 3]);
    else if (type == 4) take_puback(c, c->in[at + 2] << 8 | c->in[at + 3]);
    else if (type == 13) c->answered = true;
    if (c->state == DOWN) return false;
    at += 2 + length;
  }
  memmove(c->in, c->in + at, (size_t)(c->in_end - at));
  c->in_end -= at;
  return true;
}

static void read_in(struct connection *c) {
  ssize_t n = read(c->fd, c->in + c->in_end, sizeof c->in - (size_t)c->in_end);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    lose(c);
    return;
  }
  c->in_end += (int)n;
  take_packets(c);
}

static void serve(struct connection *c, uint32_t events) {
  if (c->fd < 0) return;
  if (c->state == OPENING && events & EPOLLOUT) {
    if (!write_out(c)) return;
    c->state = GREETED;
  }
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_in(c);
}

// ---- the run ----

static int report(double limit_at) {
  uint64_t open = 0;
  for (int i = 0; i < opt.connections; i++) open += all[i].high - all[i].low;
  double end = opt.qos && last_ack_at > 0 ? last_ack_at : now_s;
  double seconds = end - started_at;
  bool complete = done_count == opt.connections;
  printf("{\"event\":\"result\",\"complete\":%s,\"connections\":%d,\"qos\":%d,\"window\":%d,\"sent\":%lu,\"acked\":%lu,"
         "\"resent\":%lu,\"reconnects\":%lu,\"unacknowledged\":%lu,\"started\":%.6f,\"finished\":%.6f,"
         "\"seconds\":%.6f,\"rate\":%.1f,\"ack_ms_p50\":%.3f,\"ack_ms_p99\":%.3f}\n",
         complete ? "true" : "false", opt.connections, opt.qos, opt.window, total_sent, total_acked, total_resent,
         total_reconnects, open, started_at, end, seconds,
         seconds > 0 ? (double)(opt.qos ? total_acked : total_sent) / seconds : 0, latency_ms(0.5), latency_ms(0.99));
  if (complete || asked_to_stop) return 0;
  fprintf(stderr, "mqload: %s\n", now_s >= limit_at ? "the time limit was reached" : "a connection was lost");
  return 4;
}

static bool any_lost(void) {
  for (int i = 0; i < opt.connections; i++)
    if (all[i].state == DOWN) return true;
  return false;
}

static void retry_lost(void) {
  for (int i = 0; i < opt.connections; i++)
    if (all[i].state == DOWN && now_s >= all[i].retry_at) {
      total_reconnects++;
      open_connection(&all[i]);
    }
}

static int run(void) {
  struct epoll_event events[EVENTS_MAX], *e;
  struct connection *touched[EVENTS_MAX];
  now_s = clock_now();
  double limit_at = now_s + opt.limit;
  for (int i = 0; i < opt.connections; i++) open_connection(&all[i]);
  while (done_count < opt.connections && now_s < limit_at && !asked_to_stop) {
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, RETRY_MS);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    now_s = clock_now();
    int touched_n = 0;
    for (e = events; e < events + (n > 0 ? n : 0); e++) {
      serve(e->data.ptr, e->events);
      touched[touched_n++] = e->data.ptr;
    }
    if (ack_records_n) flush_acks(); // before the next message leaves: see the head of this file
    for (int i = 0; i < touched_n; i++) publish(touched[i]);
    if (everyone_was_up && no_more())
      for (int i = 0; i < opt.connections; i++) publish(&all[i]);
    if (opt.reconnect) retry_lost();
    else if (any_lost()) break;
  }
  if (ack_records_n) flush_acks();
  return report(limit_at);
}

static void usage(void) {
  fputs("mqload --port N [--host A] [--connections N] [--messages N] [--first N] [--qos 0|1] [--window N]\n"
        "       [--topic FMT] [--user FMT] [--password FMT] [--client FMT] [--base-ms MS] [--step-ms MS]\n"
        "       [--seconds S] [--limit S] [--acked FILE] [--reconnect]\n"
        "FMT takes the number of the connection, as in 'device-%06d'.\n", stderr);
  exit(2);
}

static void parse(int argc, char **argv) {
  static const struct option names[] = {
      {"host", 1, 0, 'h'},   {"port", 1, 0, 'p'},     {"connections", 1, 0, 'c'}, {"messages", 1, 0, 'm'},
      {"first", 1, 0, 'f'},  {"qos", 1, 0, 'q'},      {"window", 1, 0, 'w'},      {"topic", 1, 0, 't'},
      {"user", 1, 0, 'u'},   {"password", 1, 0, 'P'}, {"client", 1, 0, 'i'},      {"base-ms", 1, 0, 'b'},
      {"step-ms", 1, 0, 's'}, {"seconds", 1, 0, 'S'}, {"limit", 1, 0, 'l'},       {"acked", 1, 0, 'a'},
      {"reconnect", 0, 0, 'r'}, {0, 0, 0, 0}};
  for (int o; (o = getopt_long(argc, argv, "", names, 0)) != -1;) switch (o) {
      case 'h': opt.host = optarg; break;
      case 'p': opt.port = atoi(optarg); break;
      case 'c': opt.connections = atoi(optarg); break;
      case 'm': opt.messages = strtoull(optarg, 0, 10); break;
      case 'f': opt.first_seq = strtoull(optarg, 0, 10); break;
      case 'q': opt.qos = atoi(optarg); break;
      case 'w': opt.window = atoi(optarg); break;
      case 't': opt.topic = optarg; break;
      case 'u': opt.user = optarg; break;
      case 'P': opt.password = optarg; break;
      case 'i': opt.client = optarg; break;
      case 'b': opt.base_ms = strtoull(optarg, 0, 10); break;
      case 's': opt.step_ms = strtoull(optarg, 0, 10); break;
      case 'S': opt.seconds = atof(optarg); break;
      case 'l': opt.limit = atof(optarg); break;
      case 'a': opt.acked_path = optarg; break;
      case 'r': opt.reconnect = true; break;
      default: usage();
    }
  if (optind < argc || opt.connections < 1 || opt.window < 1 || opt.window > WINDOW_MAX || opt.qos < 0 || opt.qos > 1)
    usage();
  opt.messages += opt.first_seq;
}

int main(int argc, char **argv) {
  parse(argc, argv);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, 0);
  sigaction(SIGINT, &action, 0);
  sigaction(SIGUSR1, &action, 0);
  signal(SIGPIPE, SIG_IGN);
  if (opt.acked_path && (acked_fd = open(opt.acked_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
    fail(opt.acked_path);
  if ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  if (!(all = calloc((size_t)opt.connections, sizeof *all))) fail("calloc");
  for (int i = 0; i < opt.connections; i++) {
    char text[TEXT_MAX];
    struct connection *c = &all[i];
    c->id = (uint32_t)i;
    c->low = c->high = c->cursor = opt.first_seq;
    snprintf(text, sizeof text, opt.topic, i);
    c->topic_length = put_text(c->topic, text);
  }
  return run();
}
