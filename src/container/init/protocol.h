#pragma once

// What the agent and its init in the container say to one another over a Unix socket, which the init connects
// to (docs/formats/container-init.md). Lines that end with '\n'.
//
//   agent → init   run SIZE     with two descriptors, stdout and stderr of the job, and followed by SIZE
//   bytes:
//                               "NAME=value" NUL …, laid over the container's own environment
//                  signal N     to the process group of the job
//                  catchers N   to those processes of the container that have a handler for it
//                  kill         SIGKILL to every process but the init
//   init → agent   caught HEX   signals that some process has a handler for, bit N - 1 for signal N, when
//   that
//                               has changed
//                  exit CODE    the job's command has ended; 128 + N by signal N
//                  gone CODE OOM  no process is left; CODE of the one that ended last; OOM: so many were
//                  killed
//                               for want of memory. The init ends then.
//
// When the connection ends the init kills everything and ends: no container outlives its agent.
namespace buoy::container {

constexpr char kInitSocket[] = "init.sock";  // in the directory that is the init's first argument
constexpr char kInitProgram[] = "init";      // the same

}  // namespace buoy::container
