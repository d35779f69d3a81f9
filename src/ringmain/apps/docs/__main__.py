"""`python -m ringmain.apps.docs [CHECKOUT]`: write every generated page into a checkout, by default this directory."""

import sys
from pathlib import Path

from ringmain.apps.docs.pages import pages


def main() -> None:
    """Write what differs, and say which pages those were."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    if not (root / "src" / "ringmain").is_dir():
        sys.exit(f"{root.resolve()} is no checkout of Ringmain; name one: python -m ringmain.apps.docs DIRECTORY")
    for path, write in pages(root).items():
        text = write()
        target = root / path
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
