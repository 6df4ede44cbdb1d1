"""The demo: invented mailboxes and a mail server that serves them."""
