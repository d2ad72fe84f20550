package gen

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Objects returns the fields that a Go type has in JSON, and those of all types
// below it, in Markdown: a table for each type. What a field means is its
// comment in the source; a field without one is an error. root is the folder of
// the module.
func Objects(top reflect.Type, root, module string) (string, error) {
	o := &objects{root: root, module: module, sources: make(map[string]*source), paths: make(map[reflect.Type]string)}
	o.paths[top] = ""
	o.object(top)
	return o.b.String(), errors.Join(o.errs...)
}

type objects struct {
	root, module string
	sources      map[string]*source
	paths        map[reflect.Type]string // where a type is described
	below        []reflect.Type          // to be described yet
	b            strings.Builder
	errs         []error
}

func (o *objects) errorf(format string, args ...any) {
	o.errs = append(o.errs, fmt.Errorf(format, args...))
}

// source returns the comments of a type's package.
func (o *objects) source(t reflect.Type) *source {
	pkg := t.PkgPath()
	if s := o.sources[pkg]; s != nil {
		return s
	}
	s, err := readSource(filepath.Join(o.root, strings.TrimPrefix(pkg, o.module)))
	if err != nil {
		o.errs = append(o.errs, err)
	}
	o.sources[pkg] = s
	return s
}

func (o *objects) object(t reflect.Type) {
	s, path := o.source(t), o.paths[t]
	o.below = nil
	if path != "" {
		fmt.Fprintf(&o.b, "\n### `%s`\n\n%s.\n\n", path, capital(meaning(t, withoutName(t.Name(), s.types[t.Name()]))))
	}
	o.b.WriteString("| field | type | meaning |\n|---|---|---|\n")
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			if f.IsExported() && name == "" {
				o.errorf("%s.%s: no name in JSON", t.Name(), f.Name)
			}
			continue
		}
		kind := o.kind(f.Type, strings.TrimPrefix(path+"."+name, "."))
		if strings.Contains(option, "omit") {
			kind += ", may be left out"
		}
		text := s.fields[t.Name()+"."+f.Name]
		if inner := structOf(f.Type); text == "" && inner != nil {
			text = withoutName(inner.Name(), o.source(inner).types[inner.Name()])
			if f.Type.Kind() == reflect.Slice {
				text = "each is " + text
			}
		}
		if text == "" {
			o.errorf("%s.%s: no comment, which would stand in docs/status.md", t.Name(), f.Name)
		}
		fmt.Fprintf(&o.b, "| `%s` | %s | %s |\n", name, kind, cell(meaning(t, text)))
	}
	for _, c := range s.consts[t.Name()] {
		fmt.Fprintf(&o.b, "\n%s:\n\n| | |\n|---|---|\n", c.title)
		for _, v := range c.values {
			fmt.Fprintf(&o.b, "| `%s` | %s |\n", v[0], cell(meaning(t, v[1])))
		}
	}
	for _, t := range o.below {
		o.object(t)
	}
}

// structOf is the type of objects that a field holds, nil where it holds none.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return nil
	}
	return t
}

// kind is a type of JSON in words.
func (o *objects) kind(t reflect.Type, path string) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return o.kind(t.Elem(), path)
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "text"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list: " + o.kind(t.Elem(), path+"[]")
	case reflect.Map:
		return "object: " + o.kind(t.Elem(), path) + " by " + o.kind(t.Key(), path)
	case reflect.Struct:
		if _, known := o.paths[t]; !known {
			o.paths[t] = path
			o.below = append(o.below, t)
		}
		return fmt.Sprintf("[object](#%s)", slug(o.paths[t]))
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64, reflect.Float32:
		return "number"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number"
	}
	o.errorf("%s: no word for the type %v", path, t)
	return ""
}

// withoutName takes the name of what is described off a comment, as Go's
// comments begin with it.
func withoutName(name, comment string) string {
	rest, ok := strings.CutPrefix(comment, name+" ")
	if !ok {
		return comment
	}
	for verb, instead := range map[string]string{"is ": "", "are ": "", "says that ": "true: ", "tells that ": "true: "} {
		if after, ok := strings.CutPrefix(rest, verb); ok {
			return instead + after
		}
	}
	return rest
}

// meaning is a comment in the words of JSON, which has no nil and other names.
func meaning(t reflect.Type, comment string) string {
	comment = strings.NewReplacer("nil: ", "left out: ", "nil on ", "left out on ").Replace(strings.TrimSuffix(comment, "."))
	text := markdown(comment)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		text = regexp.MustCompile(`\b`+f.Name+`\b`).ReplaceAllString(text, "`"+name+"`")
	}
	return cmp.Or(text, "–")
}

// capital begins a sentence.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// slug is the anchor that a heading gets: lower case, without punctuation, and
// hyphens for blanks.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 0x80:
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, heading)
}
