#pragma once

#include <string>

// Files as people have them, one of each format, for tests.
namespace buoy::gateways::spotty {

inline const std::string kFile11 = R"(project:
  name: TacotronProject
  remoteDir: /workspace/project
  syncFilters:
    - exclude:
        - .git/*
        - .idea/*
        - '*/__pycache__/*'
instance:
  region: us-east-2
  instanceType: p2.xlarge
  maxPrice: 0.5
  volumes:
    - name: Tacotron
      directory: /workspace
      size: 50
    - directory: /scratch
      size: 10
      deletionPolicy: delete
  docker:
    file: docker/Dockerfile.spotty
    workingDir: /workspace/project
    dataRoot: /workspace/docker
    commands: |
      pip install tensorboard
  ports: [6006, 8888]
  localSshPort: 2222
scripts:
  train: |
    python train.py
)";

inline const std::string kFile12 = R"(project:
  name: my-project
  syncFilters:
    - exclude: [data/*]
    - include: [data/test/*]
container:
  projectDir: /workspace/project
  image: tensorflow/tensorflow:latest-gpu-py3
  ports: [6006, 8888]
  volumeMounts:
    - {name: workspace, mountPath: /workspace}
instances:
  - name: aws-1
    provider: aws
    parameters: &aws
      region: eu-west-1
      instanceType: p2.xlarge
      dockerDataRoot: /docker
      volumes: &volumes
        - name: workspace
          parameters: {size: 50}
        - name: docker
          parameters: {mountDir: /docker, size: 20, deletionPolicy: retain}
  - name: aws-2
    provider: aws
    parameters:
      <<: *aws
      onDemandInstance: true
scripts:
  train: python train.py
)";

inline const std::string kFile13 = R"(project:
  name: Digits
  syncFilters:
    - exclude: [.git/*, logs/*]
containers:
  - &container
    projectDir: /workspace/project
    file: docker/Dockerfile
    env: {PYTHONPATH: /workspace/project}
    ports:
      - containerPort: 6006
        hostPort: 6006
      - containerPort: 8888
    volumeMounts:
      - {name: workspace, mountPath: /workspace}
    commands: echo started
  - <<: *container
    name: plain
    hostNetwork: false
    runAsHostUser: yes
    workingDir: /workspace
instances:
  - name: aws-1
    provider: aws
    parameters:
      region: us-east-1
      instanceType: p3.2xlarge
      spotInstance: true
      maxPrice: 1.25
      ports: [6006]
      volumes:
        - name: workspace
          type: EBS
          parameters: {size: 100, deletionPolicy: UpdateSnapshot, mountDir: /workspace-disk}
  - name: 2
    provider: local
    parameters:
      containerName: plain
      volumes:
        - {name: workspace, type: HostPath, parameters: {path: ./out}}
  - name: mine
    provider: remote
    parameters: {user: me, host: 10.0.0.1, keyPath: key.pem, port: 2222}
  - name: theirs
    provider: gcp
    parameters: {zone: us-east1-b, machineType: n1-standard-8, gpu: {type: nvidia-tesla-k80}}
scripts:
  train: |
    python train.py --lr {{LR}}
)";

}  // namespace buoy::gateways::spotty
