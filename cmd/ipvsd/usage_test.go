package main

import (
	"bytes"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		err  string
	}{
		{[]string{"config", "chek"}, "ipvsd: unknown command \"chek\" for \"ipvsd config\"; there are check, import, reference\n"},
		{[]string{"cluster", "rotat"}, "ipvsd: unknown command \"rotat\" for \"ipvsd cluster\"; there are keygen, rotate\n"},
		{[]string{"completion", "tcsh"}, "ipvsd: unknown command \"tcsh\" for \"ipvsd completion\"; there are bash, fish, powershell, zsh\n"},
		{[]string{"statsu"}, "ipvsd: unknown command \"statsu\" for \"ipvsd\"\n\nDid you mean this?\n\tstatus\n\n"},
		{[]string{"config", "check", "ipvsd.toml"}, "ipvsd: \"ipvsd.toml\" is one argument too many; write ipvsd config check [flags]\n"},
		{[]string{"config", "import"}, "ipvsd: an argument is missing; write ipvsd config import [--from FORMAT] [--secrets DIR] FILE... [flags]\n"},
		{[]string{"probe", "web", "192.0.2.1", "192.0.2.2"}, "ipvsd: \"192.0.2.2\" is one argument too many; write ipvsd probe VIRTUAL [REAL] [flags]\n"},
		{[]string{"status", "--jsno"}, "ipvsd: unknown flag: --jsno; \"ipvsd status -h\" has the flags\n"},
		{[]string{"drain", "192.0.2.1", "--deadline", "30"}, "ipvsd: invalid argument \"30\" for \"--deadline\" flag: time: missing unit in duration \"30\"; \"ipvsd drain -h\" has the flags\n"},
	} {
		var out, stderr bytes.Buffer
		if code := run(&env{stdout: &out, stderr: &stderr}, tt.args); code != 1 || out.Len() != 0 || stderr.String() != tt.err {
			t.Errorf("%q: exit %d\n%s%swant exit 1 and\n%s", tt.args, code, &out, &stderr, tt.err)
		}
	}
	for _, args := range [][]string{{"config"}, {"config", "-h"}, {"help", "config", "check"}, {"completion", "zsh"}, {"realserver", "setup", "-h"}} {
		var out, stderr bytes.Buffer
		if code := run(&env{stdout: &out, stderr: &stderr}, args); code != 0 || out.Len() == 0 || stderr.Len() != 0 {
			t.Errorf("%q: exit %d, %s", args, code, &stderr)
		}
	}
}
