// Command director serves the real HTTP port with a director behind it that
// does as the browser test says: which scene there is, and what happens in it,
// a line on standard input each. It ends when that does.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/director/journal"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "director:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address of the HTTP port")
	scene := flag.String("scene", "pair", "pair, night, hostile, or VIRTUALSxREALS")
	flag.Parse()
	dir, err := os.MkdirTemp("", "ipvsd-browser-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newStage(*scene, time.Now())
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	happened := journal.New(journal.Options{Log: log})
	happened.Put(s.past()...)
	server, err := api.Listen(s, api.NewMetrics("test"), api.Options{Log: log, Socket: dir + "/ipvsd.sock", HTTP: *listen, Journal: happened})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ends := make(chan error, 3)
	go func() { ends <- happened.Run(ctx) }()
	go func() { ends <- server.Run(ctx) }()
	go func() {
		ends <- obey(os.Stdin, s, happened)
		cancel()
	}()
	fmt.Println("http://" + server.Addr().String() + "/")
	for range 3 {
		if err := <-ends; err != nil {
			return err
		}
	}
	return nil
}

// obey carries out what is asked for, until there is no more:
//
//	down VIRTUAL REAL REASON...
//	up VIRTUAL REAL
//	drain VIRTUAL REAL MINUTES
//	unread REASON...     (the kernel can't be read; without a reason it can)
//	hang SECONDS         (a Status takes so long)
func obey(in io.Reader, s *stage, happened *journal.Journal) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word := strings.Fields(lines.Text())
		if len(word) == 0 {
			continue
		}
		rest := func(n int) string { return strings.Join(word[min(n, len(word)):], " ") }
		var entry journal.Entry
		var err error
		switch {
		case word[0] == "down" && len(word) > 3:
			entry, err = s.down(word[1], word[2], rest(3))
		case word[0] == "up" && len(word) == 3:
			entry, err = s.up(word[1], word[2])
		case word[0] == "drain" && len(word) == 4:
			entry, err = s.drain(word[1], word[2], word[3])
		case word[0] == "unread":
			s.unread(rest(1))
		case word[0] == "hang" && len(word) == 2:
			var seconds float64
			seconds, err = strconv.ParseFloat(word[1], 64)
			s.hang(time.Duration(seconds * float64(time.Second)))
		default:
			err = fmt.Errorf("%q isn't understood", lines.Text())
		}
		if err != nil {
			return err
		}
		if entry.Text != "" {
			happened.Put(entry)
		}
	}
	return lines.Err()
}
