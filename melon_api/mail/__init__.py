"""Mail to people: written from `templates/mail/`, delivered by a thread behind the request."""
