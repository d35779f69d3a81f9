"""Services: strangers to each other; each is one pure noun and the service that moves it."""
