"""Contact sheets, tables, Plotly figures and downloads, one file per page or topic. No streamlit, no torch."""
