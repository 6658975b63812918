"""How the package is launched: rules, and what keeps Snakemake and DVC of one mind."""
