package config_test

import (
	"fmt"

	"github.com/ipvsd/ipvsd/director/config"
)

func ExampleParse() {
	_, _, err := config.Parse("ipvsd.toml", []byte(`
[[virtual]]
address = "192.168.0.105:80"
sheduler = "rr"

  [[virtual.real]]
  address = "192.168.0.101:8080"
  weight = "5"
`))
	fmt.Println(err)
	// Output:
	// ipvsd.toml:4: unknown key "sheduler"; did you mean "scheduler"?
	// ipvsd.toml:7: address: "192.168.0.101:8080": with forward = "dr" the kernel can't change the port 80 to 8080; leave the port out, or use forward = "nat"
	// ipvsd.toml:8: weight: "5" is text; write weight = 5, without quotes
}

func ExampleDiff() {
	before, _, _ := config.Parse("ipvsd.toml", []byte(`
[[virtual]]
address = "192.168.0.105:80"
real = [{ address = "192.168.0.101" }]
`))
	after, _, _ := config.Parse("ipvsd.toml", []byte(`
[[virtual]]
address = "192.168.0.105:80"
scheduler = "rr"
real = [{ address = "192.168.0.101" }, { address = "192.168.0.102" }]
`))
	for _, line := range config.Diff(before, after) {
		fmt.Println(line)
	}
	// Output:
	// virtual 192.168.0.105:80: scheduler wlc -> rr
	// virtual 192.168.0.105:80: real 192.168.0.102:80 added, weight 1
}
