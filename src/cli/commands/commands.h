#pragma once

#include "cli/command_line.h"

// Each adds one command to the tree; its file says what it does.
namespace buoy::cli {

void addRun(Command& root);
void addSubmit(Command& root);
void addPs(Command& root);
void addShow(Command& root);
void addLogs(Command& root);
void addWait(Command& root);
void addWhy(Command& root);
void addCancel(Command& root);
void addResume(Command& root);
void addSave(Command& root);
void addRehearse(Command& root);
void addReclaim(Command& root);
void addDownload(Command& root);
void addCp(Command& root);
void addSync(Command& root);
void addLs(Command& root);
void addRm(Command& root);
void addMb(Command& root);
void addMachines(Command& root);
void addPools(Command& root);
void addQueues(Command& root);
void addSimulate(Command& root);
void addMarket(Command& root);
void addAws(Command& root);
void addServer(Command& root);
void addKeys(Command& root);
void addServe(Command& root);
void addDoctor(Command& root);
void addInit(Command& root);
void addCompletion(Command& root);
void addHelp(Command& root);

}  // namespace buoy::cli
