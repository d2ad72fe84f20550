// Grpcserver is grpc-go's own server with its own health service, for the tests
// of grpc checks. It is a module of its own so that grpc-go stays out of ipvsd.
//
//	grpcserver PORT SECURE-PORT CERT KEY
package main

import (
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: grpcserver PORT SECURE-PORT CERT KEY"))
	}
	secure, err := credentials.NewServerTLSFromFile(os.Args[3], os.Args[4])
	if err != nil {
		fail(err)
	}
	state := health.NewServer() // the server as a whole is SERVING
	state.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_SERVING)
	state.SetServingStatus("draining", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	for _, host := range []string{"127.0.0.1", "::1"} {
		go serve(host, os.Args[1], state)
		go serve(host, os.Args[2], state, grpc.Creds(secure))
	}
	select {}
}

func serve(host, port string, state *health.Server, options ...grpc.ServerOption) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		fail(err)
	}
	s := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(s, state)
	fail(s.Serve(l))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
