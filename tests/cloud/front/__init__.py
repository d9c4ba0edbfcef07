"""The endpoint of all services: moto's answers, and over them what moto lacks of EC2, the faults, the log and the bill."""
