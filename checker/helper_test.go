package checker

func helperCommand() {}
