"""The bridge between the core and what people see: figures, and Streamlit's session."""
