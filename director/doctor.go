package director

import (
	"time"

	"github.com/ipvsd/ipvsd/director/config"
)

// DoctorStatus is what the daemon's own rounds of `ipvsd doctor` found.
type DoctorStatus struct {
	Findings int       `json:"findings"` // without notes
	Checked  time.Time `json:"checked"`  // when the last round ended
}

// Config is the running file.
func (d *Director) Config() *config.Config { return d.view.Load().cfg }
