package config

import (
	"fmt"
	"strings"
	"testing"
)

// large is a file with 1,000 virtual services of 10 real servers.
func large() string {
	var b strings.Builder
	for v := range 1000 {
		fmt.Fprintf(&b, "[[virtual]]\naddress = \"10.0.%d.%d:80\"\n  [virtual.check]\n  type = \"http\"\n  receive = \"ok %d\"\n", v/250, v%250+1, v)
		for r := range 10 {
			fmt.Fprintf(&b, "  [[virtual.real]]\n  address = \"10.%d.%d.%d\"\n  weight = %d\n", r+1, v/250, v%250+1, r)
		}
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	data := []byte(large())
	for b.Loop() {
		if _, _, err := Parse("large.toml", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	before, _, err := Parse("large.toml", []byte(large()))
	if err != nil {
		b.Fatal(err)
	}
	after, _, _ := Parse("large.toml", []byte(strings.Replace(large(), "weight = 1", "weight = 2", 500)))
	for b.Loop() {
		if n := len(Diff(before, after)); n != 500 {
			b.Fatal(n)
		}
	}
}
