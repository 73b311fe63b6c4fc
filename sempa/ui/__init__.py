"""The Gradio app, one file a tab; the only home of gradio."""
