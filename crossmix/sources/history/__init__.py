"""How a spend history is read: what people export, turned into the columns of a history, each choice told.

`text`, `excel`, `columnar`, `packed` and `warehouse` read files, books, Parquet, archives and databases as sheets of
text, and `kinds` names what none of them reads; `long` and `wide` bring other layouts to a row a day; `columns` and
`more_names` say which column is which; `numbers`, `currencies` and `dates` find the one convention of the whole input;
`summaries` finds the rows that add up others and `averages` their statistics; `names` and `repeated` settle spellings
and rows that share a key; `plausible` refuses what cannot be meant, with `totals`, `rhythm` and `units`. `load` is the
order of it all.
"""
