"""How bytes come in and go out: gunicorn's parser and its WSGI, on connections that hold no thread
while they wait for somebody's network. docs/adr/13-own-transport.md says why."""
