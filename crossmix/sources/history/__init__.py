"""How a spend history is read: what people export, turned into the columns of a history, each choice told.

`text`, `excel`, `packed` and `warehouse` read files, books, archives and databases as sheets of text; `columns` and
`more_names` say which column is which; `numbers` and `dates` find the one convention of the whole input; `summaries`
finds the rows that add up others; `names` and `repeated` settle spellings and rows that share a key; `plausible`
refuses what cannot be meant. `load` is the order of it all.
"""
