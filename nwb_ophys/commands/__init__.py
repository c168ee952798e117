"""The subcommands of the command line, by what they are for: arguments and printing only."""
