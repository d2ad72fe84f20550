package ldirectord

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hosts are the names that the tests know.
var hosts = map[string]string{
	"web01": "10.0.0.11", "my_web01": "10.0.0.21", "web02": "10.0.0.12", "www.example.org": "192.0.2.80",
	"sql01": "10.0.0.1", "sql03": "10.0.0.3", "six": "2001:db8::11",
}

func testOptions() convert.Options {
	return convert.Options{Host: func(name string, v6 bool) (netip.Addr, error) {
		a, err := netip.ParseAddr(hosts[name])
		if err != nil || a.Is6() != v6 {
			return netip.Addr{}, fmt.Errorf("resolve %s: no such host", name)
		}
		return a, nil
	}}
}

// imported converts a file named x and checks what must hold for every file.
func imported(t *testing.T, text string, opts convert.Options) convert.Result {
	t.Helper()
	r := Convert([]convert.File{{Name: "x", Data: []byte(text)}}, opts)
	if _, _, err := config.Parse("out", r.TOML()); err != nil {
		t.Errorf("the output isn't valid: %v\n%s\nfrom\n%s", err, r.TOML(), text)
	}
	for _, n := range r.Notes {
		if n.Text == "" || strings.ContainsAny(n.Text, "\n\r") {
			t.Errorf("note %q", n)
		}
		for _, s := range r.Secrets {
			if len(s.Text) > 7 && strings.Contains(n.Text, s.Text) {
				t.Errorf("a secret is in note %q", n)
			}
		}
	}
	for _, s := range r.Secrets {
		if len(s.Text) > 7 && strings.Contains(string(r.TOML()), s.Text) {
			t.Errorf("a secret is in the output:\n%s", r.TOML())
		}
	}
	return r
}

func notes(r convert.Result) string {
	var b strings.Builder
	for _, n := range r.Notes {
		lost := ""
		if n.Lost {
			lost = "LOST "
		}
		fmt.Fprintf(&b, "%s%s\n", lost, n)
	}
	return b.String()
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}
