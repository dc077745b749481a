graph [
 directed 1
 comment "a ] in quotes"
 node [ id 7 label "only" ]
]
