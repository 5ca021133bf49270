"""One module per family of file formats; dafnet_core.data.readers is the only door to them."""
