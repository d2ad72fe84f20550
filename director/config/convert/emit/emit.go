// Package emit writes an ipvsd file in TOML as a person would: in the order of
// reference.toml, what is below a [[virtual]] indented, comments kept and in
// one column. It knows TOML and the order of the top-level tables; what the keys
// mean is its caller's.
//
//	var d emit.Document
//	d.Comment("Imported from keepalived.conf.")     // at the top of the file
//	d.Table("check").Set("interval", 2*time.Second) // [check], made at its first use
//	v := d.Array("virtual")                         // one more [[virtual]]
//	v.Comment("the shop")                           // above what comes next: here the header
//	v.Set("address", "192.0.2.10:80").Note("www")   // address = "192.0.2.10:80"    # www
//	v.Set("fallback", emit.Inline{{"address", "127.0.0.1:80"}, {"forward", "dr"}})
//	v.Table("check").Set("type", "http")            // [virtual.check]
//	r := v.Array("real")                            // one more [[virtual.real]]
//	r.Set("address", "web1").Off()                  // # address = "web1"
//	r.Off()                                         // the whole table as a comment
//	os.Stdout.Write(d.Bytes())
//
// A value is a string, a bool, an integer, a time.Duration, a []string or an
// Inline. A key that is set again keeps its place and gets the new value, unless
// it is Off.
// Comments may hold any bytes; what TOML forbids is replaced.
package emit

import (
	"slices"
	"time"
)

// Document is a file. Its zero value is empty.
type Document struct {
	head, end []string
	tables    []*Table
}

// Table is a table or an element of an array of tables.
type Table struct {
	name   string // with those above it: "virtual.check"
	array  bool
	off    bool
	above  []string // comments above the header
	began  bool     // something stands below the header
	lines  []line
	tables []*Table
}

// line is a key with its value, or a comment.
type line struct {
	key     *Key
	comment string
}

// Key is a key and its value.
type Key struct {
	name  string
	value any
	note  string
	off   bool
}

// Inline is a table in one line.
type Inline []Pair

// Pair is a key of an Inline.
type Pair struct {
	Key   string
	Value any
}

// Comment adds lines at the top of the file, above everything else.
func (d *Document) Comment(lines ...string) { d.head = append(d.head, lines...) }

// End adds lines of comment at the end of the file.
func (d *Document) End(lines ...string) { d.end = append(d.end, lines...) }

// Table returns the table of that name, a new one where there is none.
func (d *Document) Table(name string) *Table {
	return table(&d.tables, name, name)
}

// Array adds an element to the array of tables of that name.
func (d *Document) Array(name string) *Table {
	t := &Table{name: name, array: true}
	d.tables = append(d.tables, t)
	return t
}

// Arrays returns the elements of an array, in their order.
func (d *Document) Arrays(name string) []*Table {
	var list []*Table
	for _, t := range d.tables {
		if t.array && t.name == name {
			list = append(list, t)
		}
	}
	return list
}

// Append adds all of another document. It returns the keys, such as
// "check.interval", that both have with different values; d's stay.
func (d *Document) Append(other *Document) (conflicts []string) {
	d.head, d.end = append(d.head, other.head...), append(d.end, other.end...)
	for _, t := range other.tables {
		if t.array || !d.has(t.name) {
			d.tables = append(d.tables, t)
			continue
		}
		conflicts = append(conflicts, d.Table(t.name).merge(t)...)
	}
	return conflicts
}

func (d *Document) has(name string) bool {
	return slices.ContainsFunc(d.tables, func(t *Table) bool { return !t.array && t.name == name })
}

func (t *Table) merge(other *Table) (conflicts []string) {
	t.above = append(t.above, other.above...)
	for _, l := range other.lines {
		switch mine := t.Get(keyName(l)); {
		case l.key == nil || mine == nil:
			t.lines = append(t.lines, l)
		case text(mine.value) != text(l.key.value):
			conflicts = append(conflicts, t.name+"."+mine.name)
		}
	}
	t.tables = append(t.tables, other.tables...)
	t.began = true
	return conflicts
}

func keyName(l line) string {
	if l.key == nil {
		return ""
	}
	return l.key.name
}

// Table returns the table of that name below t, a new one where there is none.
func (t *Table) Table(name string) *Table {
	t.began = true
	return table(&t.tables, name, t.name+"."+name)
}

// Array adds an element to the array of tables of that name below t.
func (t *Table) Array(name string) *Table {
	t.began = true
	sub := &Table{name: t.name + "." + name, array: true}
	t.tables = append(t.tables, sub)
	return sub
}

func table(list *[]*Table, name, full string) *Table {
	for _, t := range *list {
		if !t.array && t.name == full {
			return t
		}
	}
	t := &Table{name: full}
	*list = append(*list, t)
	return t
}

// Comment adds lines of comment: above the header as long as the table is
// empty, then among its keys.
func (t *Table) Comment(lines ...string) {
	if !t.began {
		t.above = append(t.above, lines...)
		return
	}
	for _, c := range lines {
		t.lines = append(t.lines, line{comment: c})
	}
}

// Set sets a key.
func (t *Table) Set(key string, value any) *Key {
	switch value.(type) {
	case string, bool, int, int64, uint16, uint32, time.Duration, []string, Inline:
	default:
		panic("emit: a value of no type that can be written")
	}
	t.began = true
	if k := t.Get(key); k != nil && !k.off {
		k.value = value
		return k
	}
	k := &Key{name: key, value: value}
	t.lines = append(t.lines, line{key: k})
	return k
}

// Get returns a key, or nil; one that is Off only where there is no other.
func (t *Table) Get(key string) *Key {
	var off *Key
	for _, l := range t.lines {
		switch {
		case l.key == nil || l.key.name != key:
		case !l.key.off:
			return l.key
		default:
			off = l.key
		}
	}
	return off
}

// Off writes the table, and all below it, as a comment.
func (t *Table) Off() *Table {
	t.off = true
	return t
}

// AllOff writes all keys of the table as comments, but not the table.
func (t *Table) AllOff() {
	for _, l := range t.lines {
		if l.key != nil {
			l.key.off = true
		}
	}
}

// Name returns the table's name with those above it, such as "virtual.check".
func (t *Table) Name() string { return t.name }

// IsOff tells whether the table is written as a comment.
func (t *Table) IsOff() bool { return t.off }

// Value returns what the key is set to.
func (k *Key) Value() any { return k.value }

// Note adds a comment behind the value.
func (k *Key) Note(text string) *Key {
	if k.note != "" && text != "" {
		k.note += "; "
	}
	k.note += text
	return k
}

// On takes Off back.
func (k *Key) On() *Key {
	k.off = false
	return k
}

// Off writes the key as a comment.
func (k *Key) Off() *Key {
	k.off = true
	return k
}
