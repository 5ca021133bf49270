"""One module per family of file formats; use dafnet_core.data.readers, which detects the format."""
