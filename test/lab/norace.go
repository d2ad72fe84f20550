//go:build !race

package lab

// raceDetector: its shadow memory lies where user-mode-linux has no addresses (39 bits).
const raceDetector = false
