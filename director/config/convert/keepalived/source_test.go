package keepalived

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// read returns the statements of a file, one a line.
func read(text string, opts convert.Options) (string, []convert.Note) {
	im := &importer{opts: opts}
	s := &source{im: im, vars: make(map[string][]statement)}
	s.read(convert.File{Name: "/etc/keepalived/keepalived.conf", Data: []byte(text)})
	var lines []string
	for _, l := range s.out {
		switch {
		case l.only:
			lines = append(lines, "# "+l.comment)
		case l.comment != "":
			lines = append(lines, l.text+" # "+l.comment)
		default:
			lines = append(lines, l.text)
		}
	}
	return strings.Join(lines, "\n"), im.notes
}

// TestSource has the manual's examples, among others.
func TestSource(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"comments", "a # b\n! c\nd \"# e\" ! f\n  ## g\ni \\# j", "a # b\n# c\nd \"# e\" # f\n# g\ni # j"},
		{"braces", "a {\nb\n}\nc\n{ d }\ne{f}", "a\n{\nb\n}\nc\n{\nd\n}\ne\n{\nf\n}"},
		{"braces in quotes", `a "{ b }" { c "}" }`, "a \"{ b }\"\n{\nc \"}\"\n}"},
		{"comment of a block", "a { # b\n}", "a # b\n{\n}"},
		{"continued line", "a \\\n  b\nc", "a b\nc"},
		{"byte order mark, carriage returns", "\xef\xbb\xbfa\r\nb\r\n", "a\nb"},
		{"variable", "$A=1\nb $A ${A}2 $Ab $B ${C}", "b 1 12 $Ab $B ${C}"},
		{"empty variable", "$A=\nb ${A}c", "b c"},
		{"replaced when it is used", "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32", "10.2.0.100/32\n10.2.10.100/32"},
		{"of several lines", "$A= \\\nb { \\\nc $N \\\n}\n$N=1\n$A\n$N=2\n$A", "b\n{\nc 1\n}\nb\n{\nc 2\n}"},
		{"nested", "$R= \\\nr $N\n$S= \\\n$N=1 \\\n$R \\\n$N=2 \\\n$R\ns {\n$S\n}", "s\n{\nr 1\nr 2\n}"},
		{"of keepalived's own", "a ${_PWD}/b ${_HASH}1 ${_BANG}", "a /etc/keepalived/b #1 !"},
		{"around several lines", "$A=x \\\ny\na ${A} b # c", "a x\ny b\n# c"},
		{"sequence", "~SEQ(N, 0, 3) ip 10.0.${N}.1", "ip 10.0.0.1\nip 10.0.1.1\nip 10.0.2.1\nip 10.0.3.1"},
		{"sequence without a start", "~SEQ(N, 2) a $N\n~SEQ(M, -2) b $M", "a 1\na 2\nb -1\nb -2"},
		{"sequence downwards", "~SEQ(N, 6, -2, 2) a $N", "a 6\na 4\na 2"},
		{"sequence in hex", "~SEQx(N, 0x90, 0x10, 0xc0) fe80::20:${N}:1", "fe80::20:90:1\nfe80::20:a0:1\nfe80::20:b0:1\nfe80::20:c0:1"},
		{"sequences", "~SEQ(A,0,1) ~SEQ(B,1,2) $A.x ${A}.${B}", "$A.x 0.1\n$A.x 0.2\n$A.x 1.1\n$A.x 1.2"},
		{"list", "~LST(A, x, y) a $A", "a x\na y"},
		{"list of sets", "~LST({A, B}, {10,1},{20,4}) 192.168.${A}.${B}", "192.168.10.1\n192.168.20.4"},
		{"list with variables", "$V=7\n~LST(A, $V ,8) a $A", "a 7\na 8"},
		{"conditions", "@main a\n@^main b\n$M=@main\n$M c", "a\nb\nc"},
		{"of a definition", "@main $P=1\n@backup $P=2\np $P", "p 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := read(c.text, convert.Options{})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInclude(t *testing.T) {
	files := map[string]string{
		"/etc/keepalived/a.conf":     "a\ninclude sub/b.conf",
		"/etc/keepalived/b.conf":     "b",
		"/etc/keepalived/sub/b.conf": "${_PWD} $V",
		"/etc/keepalived/loop.conf":  "c\ninclude loop.conf",
	}
	opts := convert.Options{
		Read: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		Glob: func(pattern string) ([]string, error) {
			if pattern == "/etc/keepalived/*.conf" {
				return []string{"/etc/keepalived/a.conf", "/etc/keepalived/b.conf"}, nil
			}
			return nil, nil
		},
	}
	for _, c := range []struct{ name, text, want, note string }{
		{"relative", "$V=1\ninclude a.conf # why", "# why\na\n/etc/keepalived/sub 1", ""},
		{"absolute", "include /etc/keepalived/b.conf", "b", ""},
		{"pattern", "$V=2\ninclude *.conf\nc", "a\n/etc/keepalived/sub 2\nb\nc", ""},
		{"alternatives", "include {b,nothing}.conf", "b", "include: file does not exist"},
		{"circle", "include loop.conf", "c", "loop.conf includes itself"},
		{"no match", "include *.none", "", "no file matches /etc/keepalived/*.none"},
		{"no name", "include", "", "no file is named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, notes := read(c.text, opts)
			if strings.Contains(c.note, "no file matches") {
				c.note = "no file matches *.none"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantNote(t, notes, c.note)
		})
	}
}

func wantNote(t *testing.T, notes []convert.Note, part string) {
	t.Helper()
	var all []string
	for _, n := range notes {
		all = append(all, n.String())
	}
	text := strings.Join(all, "\n")
	if part == "" && text != "" || !strings.Contains(text, part) {
		t.Errorf("notes %q, want %q", text, part)
	}
}

// TestBounds gives what would grow beyond any memory.
func TestBounds(t *testing.T) {
	double := "$A0=x\n"
	for i := range 30 {
		n := string(rune('A' + i%26))
		double += "$" + n + "1=${" + n + "0} ${" + n + "0}\n"
	}
	for name, text := range map[string]string{
		"itself":    "$A=${A} ${A}\n$A",
		"each":      "$A=${B} ${B}\n$B=${A} ${A}\n$A",
		"lines":     "$A= \\\n$A \\\n$A\n$A",
		"sequences": "~SEQ(A,1,60000) ~SEQ(B,1,60000) a\n",
		"too many":  "~SEQ(A,1,2000000000) a\n",
		"list":      "~LST(A,~LST(A,$A)) $A\n$A\n",
		"doubled":   double,
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := read(text, convert.Options{})
			if len(got) > 64<<20 {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text           string
		plain, escaped []string
	}{
		{`a b`, []string{"a", "b"}, []string{"a", "b"}},
		{`a "b c" d`, []string{"a", "b c", "d"}, []string{"a", "b c", "d"}},
		{`a abcd" efg h jkl "mnop`, []string{"a", "abcd", " efg h jkl ", "mnop"}, []string{"a", "abcd efg h jkl mnop"}},
		{`a 'b c'`, []string{"a", "'b", "c'"}, []string{"a", "b c"}},
		{`a "b 'c d'"`, []string{"a", "b 'c d'"}, []string{"a", "b 'c d'"}},
		{`a "\\d\"\101\x41\n\q"`, []string{"a", `\\d\`, `\101\x41\n\q`, ""}, []string{"a", "\\d\"AA\nq"}},
		{`a "" b`, []string{"a", "", "b"}, []string{"a", "", "b"}},
		{`a "b`, []string{"a", "b"}, []string{"a", "b"}},
		{`a \xff\000`, []string{"a", `\xff\000`}, []string{"a", ""}},
	} {
		if diff := cmp.Diff(c.plain, split(c.text)); diff != "" {
			t.Errorf("split(%q) (-want +got):\n%s", c.text, diff)
		}
		if diff := cmp.Diff(c.escaped, escaped(c.text)); diff != "" {
			t.Errorf("escaped(%q) (-want +got):\n%s", c.text, diff)
		}
	}
}
