"""The compiler: trained networks in, integer graphs and programs for the machine out."""
