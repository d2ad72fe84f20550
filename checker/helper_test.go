package checker

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// helperCommand is the command of external checks: what it does is its first
// argument, by way of CHECKER_HELPER or of the command line.
func helperCommand() {
	args := os.Args[1:]
	if len(args) == 0 {
		os.Exit(9)
	}
	switch args[0] {
	case "args":
		fmt.Println(strings.Join(args[1:], " "))
	case "exit3":
		fmt.Println("first line")
		fmt.Fprintln(os.Stderr, "no replica is in sync")
		os.Exit(3)
	case "flood":
		line := strings.Repeat("x", 1000) + "\n"
		for range 2000 {
			fmt.Print(line)
		}
		fmt.Println("the end")
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Minute)
	case "hang": // with a child that holds the output, both deaf to SIGTERM
		child := exec.Command("/bin/sh", "-c", "trap '' TERM; sleep 60")
		child.Stdout = os.Stdout
		_ = child.Start()
		fmt.Println("child", child.Process.Pid)
		time.Sleep(time.Minute)
	case "leave": // ends well, but leaves a child that holds the output
		child := exec.Command("/bin/sleep", "60")
		child.Stdout = os.Stdout
		_ = child.Start()
		fmt.Println("child", child.Process.Pid)
	case "env":
		fmt.Println("socket", os.Getenv("NOTIFY_SOCKET"))
	case "own":
		own := slices.DeleteFunc(os.Environ(), func(v string) bool { return !strings.HasPrefix(v, "IPVSD_") })
		slices.Sort(own)
		_ = os.WriteFile(args[1], []byte(strings.Join(own, "\n")), 0o600)
	}
}
