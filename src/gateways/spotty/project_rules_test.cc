#include <gtest/gtest.h>

#include "base/strings.h"
#include "gateways/spotty/project.h"

// Every rule of the file, broken once: what is said, and where.
namespace buoy::gateways::spotty {
namespace {

constexpr const char* kProject = "project: {name: digits}\n";
constexpr const char* kContainers = "containers: [{projectDir: /p, image: i}]\n";
constexpr const char* kInstances = "instances: [{name: i, provider: local}]\n";

// All problems of the file and of its first instance's parameters, a line each.
std::string problemsOf(const std::string& text) {
  std::string all;
  const auto add = [&](const std::vector<api::Problem>& problems) {
    for (const api::Problem& problem : problems) all += problem.toString() + "\n";
  };
  const SourceText main{"spotty.yaml", text};
  const auto project = parseProject(main);
  if (!project) {
    add(project.error());
  } else if (const auto parameters = readParameters(*project, project->instances.at(0), main); !parameters) {
    add(parameters.error());
  }
  return all;
}

struct Broken {
  std::string text, problem;
};
void expectProblems(const std::vector<Broken>& table) {
  for (const Broken& row : table) {
    const std::string found = problemsOf(row.text);
    EXPECT_NE(found.find(row.problem), std::string::npos) << row.text << "\nsays:\n" << found;
  }
}

std::string withProject(const std::string& project) {
  return strCat({"project: ", project, "\n", kContainers, kInstances});
}
std::string withContainer(const std::string& container) {
  return strCat({kProject, "containers: [", container, "]\n", kInstances});
}
std::string withInstance(const std::string& instance) {
  return strCat({kProject, kContainers, "instances: [", instance, "]\n"});
}
std::string withAws(const std::string& parameters) {
  return withInstance(
      strCat({"{name: i, provider: aws, parameters: {region: eu-west-1, instanceType: p2.xlarge, ",
              parameters, "}}"}));
}
std::string withVolumes(const std::string& volumes) {
  return withAws(strCat({"volumes: [", volumes, "]"}));
}

TEST(SpottyRules, AGoodFileHasNoProblem) {
  EXPECT_EQ(problemsOf(strCat({kProject, kContainers, kInstances})), "");
  EXPECT_EQ(problemsOf(withAws("spotInstance: true, maxPrice: 0.123456")), "");
}

TEST(SpottyRules, OfTheWhole) {
  expectProblems({
      {"[]", "must be a map"},
      {"a: [", "not valid YAML"},
      {strCat({kContainers, kInstances}), "project: is required"},
      {strCat({kProject, kInstances}), "containers: is required"},
      {strCat({kProject, kContainers}), "instances: is required"},
      {strCat({kProject, kInstances, "containers: []\n"}), "containers: must have at least one"},
      {strCat({kProject, kContainers, "instances: []\n"}), "instances: must have at least one"},
      {strCat({kProject, kContainers, kInstances, "container: {}\n"}),
       "spotty.yaml:4:12: container: is the form of"},
      {strCat({kProject, kContainers, kInstances, "instance: {}\n"}), "instance: is the form of Spotty 1.1"},
      {strCat({kProject, kContainers, kInstances, "script: {}\n"}),
       "script: unknown key 'script'; did you mean 'scripts'?"},
      {strCat({kProject, kContainers, kInstances, "frobnicate: 1\n"}),
       "unknown key 'frobnicate'; known here: containers, container, instance, project, instances, scripts"},
      {strCat({kProject, kContainers, kInstances, "scripts: {}\n"}), "scripts: is empty"},
      {strCat({kProject, kContainers, kInstances, "scripts:\n"}), "scripts: is empty"},
      {strCat({kProject, kContainers, kInstances, "scripts: {'a b': x}\n"}),
       "scripts.a b: the name of a script"},
      {strCat({kProject, kContainers, kInstances, "scripts: {a: ''}\n"}), "scripts.a: is empty"},
      {strCat({kProject, kContainers, kInstances, "scripts: {a: 1}\n"}),
       "scripts.a: must be text, not the number 1"},
      {strCat({kProject, kContainers, kInstances, "scripts: {a: }\n"}), "scripts.a: is empty"},
  });
}

TEST(SpottyRules, OfTheProject) {
  expectProblems({
      {withProject("{}"), "project.name: is required"},
      {withProject("{name: a}"), "project.name: must be 2 to 28"},
      {withProject("{name: a/b}"), "project.name: must be 2 to 28"},
      {withProject("{name: -ab}"), "project.name: must be 2 to 28"},
      {withProject("{name: ab-}"), "project.name: must be 2 to 28"},
      {withProject("{name: a_b}"), "project.name: must be 2 to 28"},
      {withProject("{name: abcdefghijklmnopqrstuvwxyzabc}"), "project.name: must be 2 to 28"},
      {withProject("{name: 12}"), "project.name: must be text, not the number 12: put it in quotes"},
      {withProject("{name: ab, dir: x}"), "project.dir: unknown key"},
      {withProject("{name: ab, syncFilters: {}}"), "project.syncFilters: must be a list"},
      {withProject("{name: ab, syncFilters: [{}]}"), "project.syncFilters[0].exclude: a filter has either"},
      {withProject("{name: ab, syncFilters: [{exclude: [a], include: [b]}]}"), "a filter has either"},
      {withProject("{name: ab, syncFilters: [{exclude: []}]}"), "must be a list of patterns"},
      {withProject("{name: ab, syncFilters: [{exclude: a}]}"),
       "project.syncFilters[0].exclude: must be a list"},
      {withProject("{name: ab, syncFilters: [{exclude: [1]}]}"), "exclude[0]: must be text"},
      {withProject("{name: ab, syncFilters: [{exclude: ['a/**']}]}"), "holds **"},
      {withProject("{name: ab, syncFilters: [{exlude: [a]}]}"),
       "unknown key 'exlude'; did you mean 'exclude'?"},
  });
}

TEST(SpottyRules, OfContainers) {
  expectProblems({
      {withContainer("{image: i}"), "containers[0].projectDir: is required"},
      {withContainer("{projectDir: p, image: i}"), "containers[0].projectDir: must be an absolute path"},
      {withContainer("{projectDir: /p}"), "containers[0].image: is required, or file"},
      {withContainer("{projectDir: /p, image: i, file: f}"), "containers[0].file: either image or file"},
      {withContainer("{projectDir: /p, image: ''}"), "containers[0].image: must name an image"},
      {withContainer("{projectDir: /p, file: docker/}"),
       "containers[0].file: must be the path of a Dockerfile"},
      {withContainer("{projectDir: /p, file: /abs}"), "containers[0].file: must be the path of a Dockerfile"},
      {withContainer("{projectDir: /p, file: 'a b'}"),
       "containers[0].file: must be the path of a Dockerfile"},
      {withContainer("{projectDir: /p, image: i, name: 'a b'}"), "containers[0].name: must be letters"},
      {withContainer("{projectDir: /p, image: i}, {projectDir: /p, image: i}"),
       "containers[1].name: there is a container 'default'"},
      {withContainer("{projectDir: /p, image: i, runAsHostUser: 1}"),
       "containers[0].runAsHostUser: must be true or false"},
      {withContainer("{projectDir: /p, image: i, workingDir: w}"),
       "containers[0].workingDir: must be an absolute path"},
      {withContainer("{projectDir: /p, image: i, env: {}}"), "containers[0].env: is empty"},
      {withContainer("{projectDir: /p, image: i, env: {A: 1}}"),
       "containers[0].env.A: must be text, not the number 1: put it in quotes"},
      {withContainer("{projectDir: /p, image: i, env: {A: }}"), "containers[0].env.A: is empty"},
      {withContainer("{projectDir: /p, image: i, hostNetwork: true, ports: [{containerPort: 1}]}"),
       "containers[0].ports: cannot be given with hostNetwork"},
      {withContainer("{projectDir: /p, image: i, ports: [{}]}"), "ports[0].containerPort: is required"},
      {withContainer("{projectDir: /p, image: i, ports: [80]}"), "ports[0]: must be a map"},
      {withContainer("{projectDir: /p, image: i, ports: [{containerPort: 0}]}"),
       "containerPort: must be a port"},
      {withContainer("{projectDir: /p, image: i, ports: [{containerPort: 1, hostPort: 65536}]}"),
       "hostPort: must be a port"},
      {withContainer("{projectDir: /p, image: i, ports: [{containerPort: 1}, {containerPort: 1}]}"),
       "is in the list already"},
      {withContainer("{projectDir: /p, image: i, commands: [a]}"), "containers[0].commands: must be text"},
      {withContainer("{projectDir: /p, image: i, runtimeParameters: [1]}"),
       "runtimeParameters[0]: must be text"},
      {withContainer("{projectDir: /p, image: i, volumes: []}"), "unknown key 'volumes'"},
      {withContainer("{projectDir: /p, image: i, volumeMounts: [{name: a}]}"),
       "volumeMounts[0].mountPath: is required"},
      {withContainer("{projectDir: /p, image: i, volumeMounts: [{mountPath: /a}]}"),
       "volumeMounts[0].name: is required"},
      {withContainer("{projectDir: /p, image: i, volumeMounts: [{name: a, mountPath: a}]}"),
       "mountPath: must be an absolute path"},
      {withContainer(
           "{projectDir: /p, image: i, volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /b}]}"),
       "the volume 'a' is mounted already"},
      {withContainer("{projectDir: /p, image: i, volumeMounts: [{name: a, mountPath: /a}, {name: b, "
                     "mountPath: /a/b}]}"),
       "volumeMounts[1].mountPath: '/a/b' and '/a'"},
      {withContainer(
           "{projectDir: /p, image: i, volumeMounts: [{name: a, mountPath: /a/}, {name: b, mountPath: /a}]}"),
       "lie one in the other"},
  });
}

TEST(SpottyRules, OfInstances) {
  expectProblems({
      {withInstance("{provider: local}"), "instances[0].name: is required"},
      {withInstance("{name: i}"), "instances[0].provider: is required"},
      {withInstance("{name: i, provider: azure}"),
       "instances[0].provider: must be one of aws, gcp, local, remote"},
      {withInstance("{name: 1.5, provider: local}"), "instances[0].name: must be text"},
      {withInstance("{name: 1, provider: local}, {name: '1', provider: local}"),
       "instances[1].name: there is an instance '1'"},
      {withInstance("{name: i, provider: local, parameters: {}}"), "instances[0].parameters: is empty"},
      {withInstance("{name: i, provider: local, parameters: }"), "instances[0].parameters: is empty"},
      {withInstance("{name: i, provider: local, parameters: {containerName: x}}"),
       "containerName: there is no container 'x'"},
      {withInstance("{name: i, provider: local, parameters: {commands: x}}"),
       "parameters.commands: unknown key"},
      {withInstance("{name: i, provider: local, parameters: {dockerDataRoot: x}}"),
       "dockerDataRoot: must be an absolute path"},
      {withInstance("{name: i, provider: local, parameters: {volumes: [{name: a}]}}"),
       "volumes[0].parameters.path: is required"},
      {withInstance("{name: i, provider: local, parameters: {volumes: [{name: a, type: EBS, parameters: "
                    "{path: x}}]}}"),
       "volumes[0].type: must be HostPath"},
      {withInstance("{name: i, provider: remote}"), "parameters.user: is required"},
      {withInstance("{name: i, provider: remote, parameters: {user: u, host: -h, keyPath: k}}"),
       "host: must not begin with -"},
      {withInstance("{name: i, provider: remote, parameters: {user: u, host: h, keyPath: k, port: 0}}"),
       "port: must be a port"},
      {withInstance("{name: i, provider: remote, parameters: {user: u, host: h, keyPath: k, volumes: [{name: "
                    "a, parameters: {path: x}}]}}"),
       "path: must be an absolute path of the remote machine"},
      {withInstance("{name: i, provider: gcp, parameters: {machineType: m}}"),
       "parameters.zone: is required"},
      {withInstance("{name: i, provider: gcp, parameters: {zone: z, machineType: m, gpu: {count: 1}}}"),
       "gpu.type: is required"},
      {withInstance(
           "{name: i, provider: gcp, parameters: {zone: z, machineType: m, imageName: a, imageUri: b}}"),
       "either imageName or imageUri"},
  });
}

TEST(SpottyRules, OfAws) {
  std::string twelve;
  for (int i = 0; i < 12; ++i) twelve += strCat({"{name: v", std::to_string(i), "},"});
  expectProblems({
      {withInstance("{name: i, provider: aws}"), "parameters.region: is required"},
      {withInstance("{name: i, provider: aws, parameters: {region: EU, instanceType: t}}"),
       "region: must be a region"},
      {withInstance("{name: i, provider: aws, parameters: {region: eu-west-1}}"),
       "instanceType: is required"},
      {withAws("subnetId: s"), "subnetId: needs the availabilityZone"},
      {withAws("maxPrice: 1"), "maxPrice: is for spot instances only"},
      {withAws("spotInstance: true, maxPrice: 0"), "maxPrice: must be USD an hour above 0"},
      {withAws("spotInstance: true, maxPrice: -1"), "maxPrice: must be USD an hour above 0"},
      {withAws("spotInstance: true, maxPrice: 0.1234567"), "at most 6 decimals"},
      {withAws("onDemandInstance: true"), "unknown key 'onDemandInstance'"},
      {withAws("amiName: a, amiId: b"), "either amiName or amiId"},
      {withAws("rootVolumeSize: 0"), "rootVolumeSize: must be at least 1"},
      {withAws("rootVolumeSize: 10GB"), "rootVolumeSize: must be a whole number"},
      {withAws("ports: [0]"), "ports[0]: must be a port"},
      {withAws("ports: [8.5]"), "ports[0]: must be a port"},
      {withAws("managedPolicyArns: x"), "managedPolicyArns: must be a list"},
      {withAws("localSshPort: 70000"), "localSshPort: must be a port"},
      {withVolumes(twelve), "has 12 volumes: an instance takes at most 11"},
      {withVolumes("{name: a, type: HostPath}"), "volumes[0].type: must be EBS"},
      {withVolumes("{name: a, parameters: {}}"), "volumes[0].parameters: is empty"},
      {withVolumes("{name: a, parameters: {size: 0}}"), "size: must be at least 1"},
      {withVolumes("{name: a, parameters: {type: io9}}"), "type: must be one of gp2"},
      {withVolumes("{name: a, parameters: {deletionPolicy: Keep}}"), "deletionPolicy: must be one of Retain"},
      {withVolumes("{name: a, parameters: {mountDir: x}}"), "mountDir: must be an absolute path"},
      {withVolumes("{name: a, parameters: {directory: /x}}"), "unknown key 'directory'"},
      {withVolumes("{name: a}, {name: a}"), "there is a volume 'a' already"},
      {withVolumes("{name: a, parameters: {mountDir: /a}}, {name: b, parameters: {mountDir: /a/b}}"),
       "lie one in the other"},
      {withAws("dockerDataRoot: /docker"), "dockerDataRoot: must be below the mountDir"},
      {withAws("dockerDataRoot: /docker, volumes: [{name: docker}]"),
       "dockerDataRoot: must be below the mountDir"},
  });
}

TEST(SpottyRules, OfTheOlderFormats) {
  const std::string old = "project: {name: ab, remoteDir: /p}\ninstance: {region: a, instanceType: b, ";
  expectProblems({
      {"project: {name: ab}\ninstance: {docker: {image: i}}", "project.remoteDir: is required"},
      {old + "}", "instance.docker: is required"},
      {old + "docker: {}}", "instance.docker.image: is required"},
      {old + "docker: {image: i}, volumes: [{name: a}]}", "instance.volumes[0].directory: is required"},
      {old + "docker: {image: i}, volumes: [{directory: /a}]}",
       "name: is required unless deletionPolicy is delete"},
      {old + "docker: {image: i}, spotInstance: true}", "unknown key 'spotInstance'"},
      {"project: {name: ab}\ncontainer: {projectDir: /p, image: i, ports: [{containerPort: 1}]}\n" +
           std::string(kInstances),
       "container.ports[0]: must be a port"},
      {"project: {name: ab}\ncontainer: {projectDir: /p, image: i, hostNetwork: true}\n" +
           std::string(kInstances),
       "unknown key 'hostNetwork'"},
  });
}

}  // namespace
}  // namespace buoy::gateways::spotty
