"""The API behind the app, the endpoints and the command line."""
