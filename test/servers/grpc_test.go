//go:build servers

package servers

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

func TestGRPC(t *testing.T) {
	h := newHost(t, "grpc", "secure")
	server := filepath.Join(h.dir, "grpcserver")
	if out, err := exec.Command("go", "build", "-C", "grpcserver", "-o", server, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.serve(server, "${grpc}", "${secure}", "$cert", "$key")
	whole := checker.Spec{Type: checker.GRPC}
	secure := with(whole, func(s *checker.Spec) { s.TLS, s.CAFile = true, h.ca })
	h.trials(
		try{name: "whole", port: "grpc", spec: whole},
		try{name: "service", port: "grpc", spec: with(whole, func(s *checker.Spec) { s.GRPCService = "shop" })},
		try{name: "tls", port: "secure", spec: secure},
		try{name: "tls by name", port: "secure", spec: with(secure, func(s *checker.Spec) { s.VirtualHost = "servers.test" })},
		try{name: "not serving", port: "grpc", spec: with(whole, func(s *checker.Spec) { s.GRPCService = "draining" }), bad: "NOT_SERVING"},
		try{name: "no such service", port: "secure", spec: with(secure, func(s *checker.Spec) { s.GRPCService = "other" }), bad: `NOT_FOUND: the server knows no service "other"`},
		try{name: "wrong name", port: "secure", spec: with(secure, func(s *checker.Spec) { s.ServerName = "a.test" }), bad: "certificate is valid for servers.test"},
		try{name: "no TLS to TLS", port: "secure", spec: whole, bad: "connection"},
		try{name: "TLS to no TLS", port: "grpc", spec: secure, bad: "no TLS there"},
	)
}
