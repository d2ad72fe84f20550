package checker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// jsonField looks into an answer that is JSON.
type jsonField struct {
	path    []string
	name    string
	value   string
	pattern *regexp.Regexp // instead of value
}

// newJSONField returns nil where no field is asked for.
func newJSONField(spec *Spec, with workshop) (*jsonField, error) {
	if spec.JSONField == "" {
		return nil, nil
	}
	f := &jsonField{path: jsonPath(spec.JSONField), name: spec.JSONField, value: spec.JSONValue}
	var err error
	if pattern, ok := inSlashes(spec.JSONValue); ok {
		f.pattern, err = with.pattern(pattern)
	}
	return f, err
}

// inSlashes returns what stands in "/…/".
func inSlashes(text string) (string, bool) {
	if len(text) < 3 || text[0] != '/' || text[len(text)-1] != '/' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// jsonPath splits "checks.0.status" at its dots; "\." is a dot in a name.
func jsonPath(text string) []string {
	const dot = "\x00"
	parts := strings.Split(strings.ReplaceAll(text, `\.`, dot), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], dot, ".")
	}
	return parts
}

func (v *problems) json(s Spec) {
	if s.JSONField == "" {
		if s.JSONValue != "" {
			v.add("json_value", "needs json_field, the field that must have it")
		}
		return
	}
	for _, part := range jsonPath(s.JSONField) {
		if part == "" {
			v.add("json_field", `%q has an empty part; write it like "checks.0.status"`, s.JSONField)
			break
		}
	}
	if strings.EqualFold(s.Method, "HEAD") {
		v.add("json_field", "an answer to HEAD has no body to look into; use method GET")
	}
	if pattern, ok := inSlashes(s.JSONValue); ok {
		if _, err := regexp.Compile(pattern); err != nil {
			v.add("json_value", "%s", patternReason(pattern, err))
		}
	}
}

// judge says what is wrong with a body, or "".
func (f *jsonField) judge(body []byte) string {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // 10000000000000000001 stays what it is
	var v any
	if err := d.Decode(&v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Sprintf("body is no JSON: %v", err)
		}
		return "body is no JSON, or not all of it"
	}
	v, ok := descend(v, f.path)
	if !ok {
		return "body has no field " + quote(f.name)
	}
	text := jsonText(v)
	switch {
	case f.pattern != nil && f.pattern.MatchString(text), f.pattern == nil && f.value != "" && f.value == text:
		return ""
	case f.value == "" && v != nil && v != false:
		return ""
	case f.value == "":
		return f.name + " is " + text
	}
	return fmt.Sprintf("%s is %s, not %s", f.name, shortened(text), f.value)
}

// descend goes down a path: by name into objects, by number into lists.
func descend(v any, path []string) (any, bool) {
	for _, part := range path {
		switch in := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = in[part]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// jsonText is a value as text; objects and lists as they are written.
func jsonText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	b, _ := json.Marshal(v)
	return string(b)
}
