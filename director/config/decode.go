package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decode fills a raw struct from a table of the parsed file. Unlike the
// library's own decoder it goes on after a mistake and knows each one's line.
// The path is the table's dotted name; n may lack what the file has.
func (r *report) decode(path string, into reflect.Value, table map[string]any, n *node, line int) {
	t := into.Addr().Interface().(interface{ place() *at }).place()
	t.header, t.keys = line, make(map[string]int, len(table))
	names := make([]string, 0, len(table))
	for name := range table {
		t.keys[name] = line
		if k := n.get(name); k != nil {
			t.keys[name] = k.line
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.keys[a], t.keys[b]), cmp.Compare(a, b))
	})
	for _, name := range names {
		field := fieldOf(into, name)
		if !field.IsValid() {
			problem, meant := unknownKey(path, name)
			r.errorf(t.keys[name], "%s", problem)
			if meant != "" && !t.has(meant) { // so that it isn't told to be missing, too
				t.keys[meant] = t.keys[name]
				t.spoil(meant)
			}
			continue
		}
		if problem := r.field(join(path, name), field, table[name], n.get(name), t.keys[name]); problem != "" {
			r.key(t, name, "%s", problem)
		}
	}
}

// field fills one field and returns what is wrong with the value.
func (r *report) field(path string, field reflect.Value, v any, n *node, line int) string {
	key := path[strings.LastIndex(path, ".")+1:]
	if field.Kind() == reflect.Slice {
		return r.tables(path, field, v, n, line)
	}
	target := field
	if field.Kind() == reflect.Pointer {
		target = reflect.New(field.Type().Elem()).Elem()
	}
	problem := ""
	switch into := target.Addr().Interface().(type) {
	case value:
		problem = into.read(key, v)
	case *string:
		problem = assign(into, v, wantText(key, v))
	case *bool:
		problem = assign(into, v, wantBool(key, v))
	case *int64:
		problem = assign(into, v, wantNumber(key, v))
	default:
		table, ok := v.(map[string]any)
		if !ok {
			return wantTable(path, v)
		}
		if field.Kind() == reflect.Pointer {
			target.Addr().Interface().(interface{ place() *at }).place().prefix = key + "."
		}
		r.decode(path, target, table, n, line)
	}
	if problem == "" && field.Kind() == reflect.Pointer {
		field.Set(target.Addr())
	}
	return problem
}

// tables fills a list of tables.
func (r *report) tables(path string, field reflect.Value, v any, n *node, line int) string {
	var elements []map[string]any
	switch v := v.(type) {
	case []map[string]any:
		elements = v
	case []any:
		for _, e := range v {
			table, ok := e.(map[string]any)
			if !ok {
				return fmt.Sprintf("%s in the list is not a table; write each under its own header %s", show(e), header(path))
			}
			elements = append(elements, table)
		}
	case map[string]any:
		return fmt.Sprintf("there can be several of it, so its header has double brackets: write [[%s]]", path)
	default:
		return fmt.Sprintf("%s is not a table; write its keys under a header %s", show(v), header(path))
	}
	field.Set(reflect.MakeSlice(field.Type(), len(elements), len(elements)))
	for i, table := range elements {
		place := n.item(i)
		if place != nil {
			line = place.line
		}
		r.decode(path, field.Index(i), table, place, line)
	}
	return ""
}

// assign sets a plain value, or says what was wanted instead.
func assign[T any](into *T, v any, problem string) string {
	x, ok := v.(T)
	if !ok {
		return problem
	}
	*into = x
	return ""
}

func wantText(key string, v any) string {
	switch v.(type) {
	case int64, float64, bool:
		return fmt.Sprintf("%s must be text; write %s = \"%v\", in quotes", show(v), key, v)
	}
	return fmt.Sprintf("%s must be text; write %s = \"…\"", show(v), key)
}

func wantNumber(key string, v any) string {
	if s, ok := v.(string); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			return fmt.Sprintf("%q is text; write %s = %d, without quotes", s, key, n)
		}
	}
	return fmt.Sprintf("%s is not a whole number; write %s = 1 or another one, without quotes", show(v), key)
}

func wantBool(key string, v any) string {
	if s, ok := v.(string); ok {
		if b, ok := boolWord(s); ok {
			return fmt.Sprintf("%q is text; write %s = %t, without quotes", s, key, b)
		}
	}
	if n, ok := v.(int64); ok && (n == 0 || n == 1) {
		return fmt.Sprintf("%d is a number; write %s = %t", n, key, n == 1)
	}
	return fmt.Sprintf("%s is neither true nor false; write %s = true or %s = false", show(v), key, key)
}

// boolWord reads the words that other files have for true and false.
func boolWord(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "on", "1":
		return true, true
	case "false", "no", "off", "0":
		return false, true
	}
	return false, false
}

func wantTable(path string, v any) string {
	key := path[strings.LastIndex(path, ".")+1:]
	if _, ok := v.([]map[string]any); ok {
		return fmt.Sprintf("there is only one of it, so its header has single brackets: write [%s]", path)
	}
	if s, ok := v.(string); ok && path == "virtual.fallback" {
		return fmt.Sprintf("%q is not a table; write %s = { address = %q }", s, key, s)
	}
	if strings.Contains(path, ".") && !strings.HasSuffix(path, ".check") && top(path) != "cluster" {
		return fmt.Sprintf("%s is not a table; write %s = { … }", show(v), key)
	}
	return fmt.Sprintf("%s is not a table; write its keys under a header [%s]", show(v), path)
}

// fieldOf returns the field with the given toml tag; the zero Value if none.
func fieldOf(table reflect.Value, key string) reflect.Value {
	for i := range table.NumField() {
		if tag := table.Type().Field(i).Tag.Get("toml"); tag != "" && tag == key {
			return table.Field(i)
		}
	}
	return reflect.Value{}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
