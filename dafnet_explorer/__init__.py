"""The Streamlit app over dafnet_core: figures, reports, cached results and shared widgets."""
