package keepalived

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
)

// FuzzConvert gives anything. Whatever comes of it is valid to director/config:
// what can't be made so is a comment. Notes have a line of the file.
func FuzzConvert(f *testing.F) {
	for _, pattern := range []string{"testdata/*.conf", "/usr/share/doc/keepalived/samples/keepalived.conf.*"} {
		list, _ := filepath.Glob(pattern)
		for _, name := range list {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("virtual_server fwmark 1 {\nreal_server ::1 {\nMISC_CHECK {\nmisc_path \"a \\x01 'b\"\n}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := convert.Options{Read: func(string) ([]byte, error) { return data, nil }}
		r := Convert([]convert.File{{Name: "keepalived.conf", Data: data}}, opts)
		toml := r.TOML()
		_, _, err := config.Parse("ipvsd.toml", toml)
		var problems config.Errors
		if errors.As(err, &problems) {
			t.Fatalf("the output isn't valid:\n%v\n%s\nof\n%s", err, toml, data)
		}
		for _, n := range r.Notes {
			if n.Line < 1 || n.Text == "" || n.File == "" {
				t.Errorf("note %+v", n)
			}
		}
		if again := Convert([]convert.File{{Name: "keepalived.conf", Data: data}}, opts); !slices.Equal(again.TOML(), toml) {
			t.Errorf("another output the second time")
		}
	})
}
