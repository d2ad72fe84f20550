package main

import (
	"flag"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/docs/gen"
)

var update = flag.Bool("update", false, "write the generated parts of the pages in docs")

const docs = "../../docs/"

func isRealserver(c *cobra.Command) bool { return c.CommandPath() == "ipvsd realserver" }

// commandTree is the commands as a user has them, completion among them.
func commandTree() *cobra.Command {
	root := newRootCommand(&env{stdout: io.Discard, stderr: io.Discard})
	root.InitDefaultCompletionCmd()
	return root
}

// TestPages compares what of the pages in docs comes from the code with the
// code. "make docs" writes it.
func TestPages(t *testing.T) {
	root := commandTree()
	for _, p := range []struct {
		file, part string
		text       func() (string, error)
	}{
		{"configuration.md", "keys", func() (string, error) { return gen.Configuration(string(config.Reference()), config.Keys()) }},
		{"man/ipvsd.toml.5", "keys", func() (string, error) { return gen.ConfigurationMan(string(config.Reference()), config.Keys()) }},
		{"man/ipvsd.8", "commands", func() (string, error) { return gen.Commands(root, isRealserver), nil }},
		{"man/ipvsd-realserver.8", "commands", func() (string, error) {
			return gen.Commands(root, func(c *cobra.Command) bool { return !strings.HasPrefix(c.CommandPath(), "ipvsd realserver") }), nil
		}},
		{"metrics.md", "metrics", func() (string, error) { return gen.Metrics(metricFamilies(t)), nil }},
		{"status.md", "fields", func() (string, error) {
			return gen.Objects(reflect.TypeFor[director.Status](), "../..", strings.TrimSuffix(module, "/"))
		}},
		{"explain.md", "fields", func() (string, error) {
			return gen.Objects(reflect.TypeFor[api.JournalPage](), "../..", strings.TrimSuffix(module, "/"))
		}},
	} {
		t.Run(p.file, func(t *testing.T) {
			text, err := p.text()
			if err != nil {
				t.Fatal(err)
			}
			if err := gen.Page(docs+p.file, *update, map[string]string{p.part: text}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPagesHaveKeys looks for every key of the file in the pages, without
// relying on how they are made.
func TestPagesHaveKeys(t *testing.T) {
	page, man := mustReadPage(t, "configuration.md"), mustReadPage(t, "man/ipvsd.toml.5")
	for _, k := range config.Keys() {
		if k.Table == "" {
			header := "[" + k.Name + "]"
			if !strings.Contains(page, header) || !strings.Contains(man, header) {
				t.Errorf("%s is not in both pages", header)
			}
			continue
		}
		// Of an inline table the key is in the cell of the table's own; [check] may
		// have all of [virtual.check].
		word := regexp.MustCompile("`" + k.Name + "`|" + `\[` + regexp.QuoteMeta(k.Table+"."+k.Name) + `\]`)
		if !word.MatchString(page) {
			t.Errorf("%s of %s is not in configuration.md", k.Name, k.Table)
		}
		if !regexp.MustCompile(`\\fB` + k.Name + `\\fR|\b` + k.Name + `: |\[` + regexp.QuoteMeta(k.Table+"."+k.Name) + `\]`).MatchString(man) {
			t.Errorf("%s of %s is not in ipvsd.toml.5", k.Name, k.Table)
		}
	}
}

// TestPagesHaveCommands does so for commands and flags.
func TestPagesHaveCommands(t *testing.T) {
	all, node := mustReadPage(t, "man/ipvsd.8"), mustReadPage(t, "man/ipvsd-realserver.8")
	var walk func(c *cobra.Command, page string)
	walk = func(c *cobra.Command, page string) {
		if isRealserver(c) {
			page = node
		}
		if !strings.Contains(page, c.CommandPath()) && c.Parent().Name() != "completion" {
			t.Errorf("no command %q in its page", c.CommandPath())
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" && !strings.Contains(page, `\fB\-\-`+strings.ReplaceAll(f.Name, "-", `\-`)+`\fR`) {
				t.Errorf("no flag --%s of %q in its page", f.Name, c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub, page)
			}
		}
	}
	walk(commandTree(), all)
}

// TestPagesHaveWorld: the environment that the commands read, the signals that
// the director takes, and exit statuses beyond 0 and 1.
func TestPagesHaveWorld(t *testing.T) {
	man := mustReadPage(t, "man/ipvsd.8")
	for name, source := range sources(t, ".") {
		for _, m := range regexp.MustCompile(`os\.Getenv\("(\w+)"\)`).FindAllStringSubmatch(source, -1) {
			if !strings.Contains(man, `\fB`+m[1]+`\fR`) {
				t.Errorf("%s reads %s, which ipvsd.8 doesn't have", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`syscall\.(SIG[A-Z0-9]+)`).FindAllStringSubmatch(source, -1) {
			if name == "director.go" && !strings.Contains(man, `\fB`+m[1]+`\fR`) {
				t.Errorf("%s takes %s, which ipvsd.8 doesn't have", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`exitError\{code: ([2-9])`).FindAllStringSubmatch(source, -1) {
			if !regexp.MustCompile(`(?is)exit status.*\b` + m[1] + `\b`).MatchString(source) {
				t.Errorf("%s ends with %s, and its help doesn't say so", name, m[1])
			}
		}
	}
}

// TestPagesHaveVariables: what programs are told in their environment.
func TestPagesHaveVariables(t *testing.T) {
	pages := mustReadPage(t, "notices.md") + mustReadPage(t, "checks.md")
	found := 0
	for _, dir := range []string{"../../checker", "../../director", "../../director/hook"} {
		for name, source := range sources(t, dir) {
			for _, m := range regexp.MustCompile(`"(IPVSD_[A-Z_]+)=`).FindAllStringSubmatch(source, -1) {
				found++
				if !strings.Contains(pages, "`"+m[1]+"`") {
					t.Errorf("%s/%s sets %s, which neither notices.md nor checks.md has", dir, name, m[1])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d variables found in the source", found)
	}
}

func mustReadPage(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(docs + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sources reads the Go files of a folder but its tests.
func sources(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]string)
	for _, e := range slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go")
	}) {
		data, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		list[e.Name()] = string(data)
	}
	return list
}
