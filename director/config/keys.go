package config

import "reflect"

// Key is one key that the file can have, for pages that describe it.
type Key struct {
	Table string // dotted; "" is the top of the file
	List  bool   // the table is written in double brackets
	Name  string
	Type  string // what its value is, in words
}

// Keys lists all of them, tables among them, in the order of the raw structs.
func Keys() []Key {
	var list []Key
	for _, s := range sections() {
		for i, name := range s.keys {
			list = append(list, Key{Table: s.path, List: s.list, Name: name, Type: typeNames[s.types[i]]})
		}
	}
	return list
}

// typeNames has the words for the types of the raw structs' fields; a test
// finds one that is missing. Tables are "".
var typeNames = map[reflect.Type]string{
	reflect.TypeFor[string]():  "text",
	reflect.TypeFor[bool]():    "boolean",
	reflect.TypeFor[int64]():   "number",
	reflect.TypeFor[span]():    "duration",
	reflect.TypeFor[list]():    "list of text",
	reflect.TypeFor[command](): "program",
	reflect.TypeFor[status]():  "number, text or list of them",
	reflect.TypeFor[headers](): "table of text",
	reflect.TypeFor[scalar]():  "text, number or boolean",
	reflect.TypeFor[netmask](): "number or text",
	reflect.TypeFor[weight]():  "number or percentage",
	reflect.TypeFor[mailTo]():  `list of text, or "off"`,
}
