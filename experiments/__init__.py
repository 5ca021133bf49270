"""The paper's experiments on any data set, one file a table: python -m experiments TABLE --help"""
