package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// places flattens an index: "virtual[0].real[1].weight" → line.
func places(path string, n *node, into map[string]int) map[string]int {
	if path != "" {
		into[path] = n.line
	}
	for key, child := range n.keys {
		places(join(path, fmt.Sprintf("%q", key)), child, into)
	}
	for i, item := range n.items {
		places(fmt.Sprintf("%s[%d]", path, i), item, into)
	}
	return into
}

func TestIndex(t *testing.T) {
	text := `# [not] = "this"
title = "a # b" # c = 1

"quoted key".'lit"eral' = 1
d.e.f = 1
d.e.g = '''
[[virtual]]
x = 1
'''
[[virtual]]   # first
name = """a\"""
b""""
list = [ # comment ]
  1,
  "]", # ,
  { in = [1,
  2], "li\u006Ee" = '}' },
]
inline = { a = { b = 1 }, c.d = 2 }
date = 1979-05-27 07:32:00
  [virtual.check]
  type = "x"
  [[virtual.real]]
  weight = 1
  [[virtual.real]]
  weight = 2

[ virtual . "ta\u0062le" ]
x = 1
[[virtual]]
[[virtual.real]]
weight = 3
[late.b]
[late]
`
	want := map[string]int{
		`"title"`: 2, `"quoted key"`: 4, `"quoted key"."lit\"eral"`: 4,
		`"d"`: 5, `"d"."e"`: 5, `"d"."e"."f"`: 5, `"d"."e"."g"`: 6,
		`"virtual"`: 10, `"virtual"[0]`: 10, `"virtual"[0]."name"`: 11,
		`"virtual"[0]."list"`: 13, `"virtual"[0]."list"[0]`: 14, `"virtual"[0]."list"[1]`: 15,
		`"virtual"[0]."list"[2]`: 16, `"virtual"[0]."list"[2]."in"`: 16, `"virtual"[0]."list"[2]."in"[0]`: 16,
		`"virtual"[0]."list"[2]."in"[1]`: 17, `"virtual"[0]."list"[2]."line"`: 17,
		`"virtual"[0]."inline"`: 19, `"virtual"[0]."inline"."a"`: 19, `"virtual"[0]."inline"."a"."b"`: 19,
		`"virtual"[0]."inline"."c"`: 19, `"virtual"[0]."inline"."c"."d"`: 19, `"virtual"[0]."date"`: 20,
		`"virtual"[0]."check"`: 21, `"virtual"[0]."check"."type"`: 22,
		`"virtual"[0]."real"`: 23, `"virtual"[0]."real"[0]`: 23, `"virtual"[0]."real"[0]."weight"`: 24,
		`"virtual"[0]."real"[1]`: 25, `"virtual"[0]."real"[1]."weight"`: 26,
		`"virtual"[0]."table"`: 28, `"virtual"[0]."table"."x"`: 29,
		`"virtual"[1]`: 30, `"virtual"[1]."real"`: 31, `"virtual"[1]."real"[0]`: 31, `"virtual"[1]."real"[0]."weight"`: 32,
		`"late"`: 34, `"late"."b"`: 33,
	}
	for _, ends := range []string{"\n", "\r\n"} {
		text := strings.ReplaceAll(text, "\n", ends)
		var m map[string]any
		if _, err := toml.Decode(text, &m); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, places("", index(text), map[string]int{})); diff != "" {
			t.Errorf("line ends %q (-want +got):\n%s", ends, diff)
		}
		if diff := cmp.Diff(squeeze(shape(m)), squeeze(nodeShape(index(text)))); diff != "" {
			t.Errorf("shape (-parser +index):\n%s", diff)
		}
	}
}

// shape is a parsed document without its values.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = shape(e)
		}
		return out
	case []map[string]any:
		var out []any
		for _, e := range v {
			out = append(out, shape(e))
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, shape(e))
		}
		if out == nil {
			return nil
		}
		return out
	}
	return nil
}

// nodeShape is the same of an index. An empty table can't be told from a value.
func nodeShape(n *node) any {
	switch {
	case n.items != nil:
		var out []any
		for _, e := range n.items {
			out = append(out, nodeShape(e))
		}
		return out
	case n.keys != nil:
		out := map[string]any{}
		for k, e := range n.keys {
			out[k] = nodeShape(e)
		}
		return out
	}
	return nil
}

// squeeze makes empty tables and lists nothing, as nodeShape has them.
func squeeze(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
		for k := range v {
			v[k] = squeeze(v[k])
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = squeeze(v[i])
		}
	}
	return v
}

// document is a generated file with the line of every key.
type document struct {
	rand   *rand.Rand
	text   strings.Builder
	line   int
	lines  map[string]int
	serial int
}

func (d *document) number(least, most int) int { return least + d.rand.IntN(most-least+1) }

func (d *document) oneOf(texts ...string) string { return texts[d.rand.IntN(len(texts))] }

func (d *document) write(s string) {
	d.text.WriteString(s)
	d.line += strings.Count(s, "\n")
}

func (d *document) noise() {
	for range d.number(0, 2) {
		d.write(d.oneOf("\n", "# [[virtual]]\n", "  \t\n", "# weight = \"\"\" 1\n", "#\n"))
	}
}

func (d *document) key() (name, written string) {
	d.serial++
	switch d.number(0, 3) {
	case 0:
		name = fmt.Sprintf("a.b # [%d]", d.serial)
		return name, fmt.Sprintf("%q", name)
	case 1:
		name = fmt.Sprintf("q\"\\%d", d.serial)
		return name, "'" + name + "'"
	case 2:
		return fmt.Sprintf("tab\té%d", d.serial), fmt.Sprintf(`"tab\t\u00e9%d"`, d.serial)
	}
	name = fmt.Sprintf("key_%d", d.serial)
	return name, name
}

// value writes a value; path is where it goes.
func (d *document) value(path string, depth int) {
	most := 9
	if depth > 2 {
		most = 7
	}
	switch d.number(0, most) {
	case 0:
		d.write(d.oneOf("1", "true", "-1.5e3", "1979-05-27 07:32:00Z", "0x1F"))
	case 1:
		d.write(d.oneOf(`"a"`, `""`, `"#"`, `"\\"`, `"\""`, `"[[virtual]]"`))
	case 2:
		d.write(d.oneOf(`'a'`, `''`, `'\'`, `'"'`, `'}'`))
	case 3:
		d.write(d.oneOf("\"\"\"\nx = 1\n[[virtual]]\n\"\"\"", "\"\"\"\\\"\"\"\\\n\"\"\"\"\"", "\"\"\"\"\"\""))
	case 4:
		d.write(d.oneOf("'''\n\\'''", "'''''a\n'''''", "'''\n[x]\n\n'''"))
	case 5, 6, 7:
		d.write("1")
	case 8:
		d.write("[")
		for i := range d.number(0, 3) {
			d.write(d.oneOf("", "\n", " # ],\n", " "))
			d.lines[fmt.Sprintf("%s[%d]", path, i)] = d.line
			d.value(fmt.Sprintf("%s[%d]", path, i), depth+1)
			d.write(d.oneOf(",", "\n,", ", # [\n"))
		}
		d.write("]")
	case 9:
		d.write("{ ")
		for i := range d.number(1, 3) {
			if i > 0 {
				d.write(", ")
			}
			d.pair(path, depth+1)
		}
		d.write(" }")
	}
}

func (d *document) pair(path string, depth int) {
	name, written := d.key()
	full := join(path, fmt.Sprintf("%q", name))
	d.lines[full] = d.line
	if d.number(0, 4) == 0 {
		name, more := d.key()
		written += " . " + more
		full = join(full, fmt.Sprintf("%q", name))
		d.lines[full] = d.line
	}
	d.write(written + d.oneOf("=", " = ", "\t=\t"))
	d.value(full, depth)
}

func (d *document) pairs(path string) {
	for range d.number(0, 3) {
		d.noise()
		d.pair(path, 0)
		d.write(d.oneOf("\n", " # x = [\n", "\r\n"))
	}
	d.noise()
}

// TestIndexGenerated compares the index of generated files with where their
// keys were written.
func TestIndexGenerated(t *testing.T) {
	for seed := range uint64(2000) {
		d := &document{rand: rand.New(rand.NewPCG(seed, 0)), line: 1, lines: map[string]int{}}
		d.pairs("")
		for i := range d.number(0, 3) {
			if i == 0 {
				d.lines[`"virtual"`] = d.line
			}
			virtual := fmt.Sprintf(`"virtual"[%d]`, i)
			d.lines[virtual] = d.line
			d.write(d.oneOf("[[virtual]]\n", "  [[ \"virtual\" ]] # x\n"))
			d.pairs(virtual)
			if d.number(0, 1) == 0 {
				d.lines[virtual+`."check"`] = d.line
				d.write("  [virtual.check]\n")
				d.pairs(virtual + `."check"`)
			}
			for j := range d.number(0, 3) {
				if j == 0 {
					d.lines[virtual+`."real"`] = d.line
				}
				real := fmt.Sprintf(`%s."real"[%d]`, virtual, j)
				d.lines[real] = d.line
				d.write("[[virtual.real]]\n")
				d.pairs(real)
			}
		}
		text := d.text.String()
		var m map[string]any
		if _, err := toml.Decode(text, &m); err != nil {
			t.Fatalf("seed %d: the generator is wrong: %v\n%s", seed, err, text)
		}
		if diff := cmp.Diff(d.lines, places("", index(text), map[string]int{})); diff != "" {
			t.Fatalf("seed %d: lines (-want +got):\n%s\n%s", seed, diff, text)
		}
	}
}

// FuzzIndex: whatever the parser accepts has the same keys in the index, and
// nothing makes it panic or run on.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{"a = 1\n[[b]]\nc = { d = [1, {}] }\n", `"\x61\e\\e" = """""""`, "a.b.c=1\n[d.e]\n[d]", "[[a]]\n[a.b]\n[[a]]\n[a.b]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimPrefix(text, "\xef\xbb\xbf")
		n := index(text)
		var m map[string]any
		if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
			return // the parser drops these, Parse refuses them
		}
		if _, err := toml.Decode(text, &m); err != nil {
			return
		}
		if diff := cmp.Diff(squeeze(shape(m)), squeeze(nodeShape(n))); diff != "" {
			t.Errorf("(-parser +index):\n%s\n%q", diff, text)
		}
	})
}
