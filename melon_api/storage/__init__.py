"""Connections and transactions, and what Redis remembers; knows no rule of the product."""
