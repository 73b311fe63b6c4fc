"""The Gradio app, one file per tab; no other package imports gradio."""
