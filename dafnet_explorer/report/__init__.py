"""A report of one slice: one ZIP with an HTML page, arrays, tables and the numbers of `evaluate`. No streamlit."""
