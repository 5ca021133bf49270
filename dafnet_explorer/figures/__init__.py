"""Contact sheets, tables, Plotly figures and downloads, one file a page or topic. No streamlit, no torch."""
