"""What will be run: costs, the feasible space, plans, task graphs, estimates. Pure: values in, values out."""
