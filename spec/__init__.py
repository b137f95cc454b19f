"""What the user wrote: the pipeline spec, its schema, its rules, its digest. Pure: text in, values out."""
