package emit

import (
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestDocument(t *testing.T) {
	var d Document
	d.Comment("Imported.")
	v := d.Array("virtual")
	v.Comment("the shop")
	v.Set("address", "192.0.2.10:80").Note("www")
	v.Set("scheduler", "wrr")
	v.Set("persistence", 90*time.Minute)
	v.Comment("among the keys")
	v.Set("fallback", Inline{{"address", "127.0.0.1:80"}, {"forward", "dr"}}).Note("sorry")
	v.Set("scheduler", "rr")
	c := v.Table("check")
	c.Set("type", "http")
	c.Set("receive", `a\d "b"`).Note("tab\tbell\a \xff")
	c.Set("command", []string{"/bin/x", "y"}).Off().Note("why")
	r := v.Array("real")
	r.Comment("first")
	r.Set("address", "192.0.2.11")
	r.Set("weight", 5)
	off := v.Array("real").Off()
	off.Comment("gone")
	off.Set("address", "web2").Note("no such host")
	d.Array("virtual").Set("fwmark", 1)
	d.Table("director").Set("clean_stop", true)
	d.Table("check").Comment("only a comment")
	d.Table("sysctl").Set("manage", true).Off()
	d.Table("http")
	want := `# Imported.

[director]
clean_stop = true

# [sysctl]
# manage = true

# only a comment

# the shop
[[virtual]]
address = "192.0.2.10:80"        # www
scheduler = "rr"
persistence = "1h30m"
# among the keys
fallback = { address = "127.0.0.1:80", forward = "dr" }   # sorry

  [virtual.check]
  type = "http"
  receive = 'a\d "b"'              # tab    bell  ` + "\uFFFD" + `
  # command = ["/bin/x", "y"]      # why

  # first
  [[virtual.real]]
  address = "192.0.2.11"
  weight = 5

  # gone
  # [[virtual.real]]
  # address = "web2"               # no such host

[[virtual]]
fwmark = 1
`
	if diff := cmp.Diff(want, string(d.Bytes())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var out map[string]any
	if _, err := toml.Decode(string(d.Bytes()), &out); err != nil {
		t.Error(err)
	}
}

func TestAppend(t *testing.T) {
	var a, b Document
	a.Table("check").Set("interval", 2*time.Second)
	b.Table("check").Set("interval", 3*time.Second)
	b.Table("check").Set("rise", 2)
	b.Table("director").Set("clean_stop", true)
	b.Array("virtual").Set("fwmark", 1)
	if got := a.Append(&b); !cmp.Equal(got, []string{"check.interval"}) {
		t.Error(got)
	}
	want := "[director]\nclean_stop = true\n\n[check]\ninterval = \"2s\"\nrise = 2\n\n[[virtual]]\nfwmark = 1\n"
	if got := string(a.Bytes()); got != want {
		t.Errorf("%s", got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "90s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 1800 * time.Second: "30m",
		500 * time.Millisecond: "500ms", 3605 * time.Second: "1h0m5s", 10 * time.Hour: "10h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// FuzzQuote: whatever is quoted comes back, but for bytes that aren't UTF-8.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", `a"b`, `\d'`, "x\x00\n\r\t\x7f", "\xff", "é", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Document
		d.Table("t").Set("k", s).Note(s)
		d.Table("t").Comment(s)
		var out struct{ T struct{ K string } }
		if _, err := toml.Decode(string(d.Bytes()), &out); err != nil {
			t.Fatalf("%v in\n%s", err, d.Bytes())
		}
		if want := clean(s); out.T.K != s && clean(out.T.K) != want {
			t.Errorf("%q became %q", s, out.T.K)
		}
	})
}
