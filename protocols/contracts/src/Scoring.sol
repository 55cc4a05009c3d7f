// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "./ScoreMath.sol";

/// @title A preset's numbers that scores depend on, fixed at deployment
abstract contract Scoring {
    uint32 private immutable DECAY_Q32;
    uint32 private immutable DESIGN_EFFECT;
    uint32 private immutable TENURE_EPOCHS;
    uint32 private immutable VETTING_EPOCHS;
    uint32 private immutable FLOOR_PPM;
    uint32 private immutable LEEWAY_PPM;
    uint32 private immutable PROBATION_EPOCHS;
    uint32 private immutable SUSPENSION_EPOCHS;
    uint32 private immutable DUTY_MAX;

    /// @notice Nothing is left of a count after an epoch, or no observation weighs anything.
    error BadScoring();

    constructor(ScoreMath.Params memory params) {
        if (params.decayQ32 == 0 || params.designEffect == 0) revert BadScoring();
        DECAY_Q32 = params.decayQ32;
        DESIGN_EFFECT = params.designEffect;
        TENURE_EPOCHS = params.tenureEpochs;
        VETTING_EPOCHS = params.vettingEpochs;
        FLOOR_PPM = params.floorPpm;
        LEEWAY_PPM = params.leewayPpm;
        PROBATION_EPOCHS = params.probationEpochs;
        SUSPENSION_EPOCHS = params.suspensionEpochs;
        DUTY_MAX = params.dutyMax;
    }

    /// @dev The numbers as they were given at deployment.
    function _params() internal view returns (ScoreMath.Params memory) {
        return ScoreMath.Params({
            decayQ32: DECAY_Q32,
            designEffect: DESIGN_EFFECT,
            tenureEpochs: TENURE_EPOCHS,
            vettingEpochs: VETTING_EPOCHS,
            floorPpm: FLOOR_PPM,
            leewayPpm: LEEWAY_PPM,
            probationEpochs: PROBATION_EPOCHS,
            suspensionEpochs: SUSPENSION_EPOCHS,
            dutyMax: DUTY_MAX
        });
    }
}
