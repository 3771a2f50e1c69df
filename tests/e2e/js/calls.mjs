// SPDX-License-Identifier: Apache-2.0
// Calls of the AWS SDK for JavaScript, version 3, through OpenTrail: one line of JSON for each.

import http from "node:http";
import { Readable } from "node:stream";
import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { CloudWatchClient, ListMetricsCommand, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { GetFunctionCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  CreateBucketCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command,
  PutBucketTaggingCommand, PutObjectCommand, S3Client,
} from "@aws-sdk/client-s3";
import { GetPublicAccessBlockCommand, S3ControlClient } from "@aws-sdk/client-s3-control";
import { CreateModelCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { CreateTopicCommand, SNSClient } from "@aws-sdk/client-sns";
import { CreateQueueCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const port = process.env.OPENTRAIL_PORT;
// Every name leads here, as a wildcard entry of a name server would have it.
const lookup = (_host, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
const agent = new http.Agent({ keepAlive: false, lookup });

function settings(endpoint, more = {}) {
  return {
    endpoint,
    region: "us-east-1",
    maxAttempts: 1,
    credentials: { accessKeyId: "AKIAQAAAAAAAAAAAAAAA", secretAccessKey: "moto-does-not-check" },
    requestHandler: { httpAgent: agent },
    ...more,
  };
}

const plain = settings(`http://127.0.0.1:${port}`);
const named = settings(`http://aws.example.org:${port}`);

async function say(label, promise) {
  try {
    const answer = await promise;
    const status = answer.$metadata?.httpStatusCode ?? answer.status;
    console.log(JSON.stringify({ label, status, answer }));
    return answer;
  } catch (error) {
    const status = error.$metadata?.httpStatusCode;
    console.log(JSON.stringify({ label, status, error: error.name, message: error.message }));
    return undefined;
  }
}

// One service of each protocol, and errors of each form.
await say("sts", new STSClient(plain).send(new GetCallerIdentityCommand({})));
await say("sns", new SNSClient(plain).send(new CreateTopicCommand({ Name: "from-js" })));
await say("ec2", new EC2Client(plain).send(new DescribeVpcsCommand({ VpcIds: ["vpc-absent"] })));
await say("dynamodb", new DynamoDBClient(plain).send(new ListTablesCommand({})));
await say("sagemaker", new SageMakerClient(plain).send(new CreateModelCommand({
  ModelName: "from-js", ExecutionRoleArn: "arn:aws:iam::123456789012:role/r" })));
const sqs = new SQSClient(plain);
await say("sqs", sqs.send(new CreateQueueCommand({ QueueName: "from-js" })));
await say("sqs error", sqs.send(new GetQueueUrlCommand({ QueueName: "absent" })));
await say("lambda", new LambdaClient(plain).send(new GetFunctionCommand({ FunctionName: "absent" })));
const cloudwatch = new CloudWatchClient(plain);
await say("cloudwatch", cloudwatch.send(new PutMetricDataCommand({
  Namespace: "js", MetricData: Array.from({ length: 500 }, (_, n) => ({
    MetricName: `metric-number-${n}`, Value: n, Dimensions: [{ Name: "dimension", Value: "value" }] })) })));
await say("cloudwatch list", cloudwatch.send(new ListMetricsCommand({ Namespace: "js" })));

// S3: the bucket in the path, then in the host name; bodies in one piece, streamed, in parts.
const path = new S3Client({ ...plain, forcePathStyle: true });
const Bucket = "from-js";
await say("s3 bucket", path.send(new CreateBucketCommand({ Bucket })));
await say("s3 put", path.send(new PutObjectCommand({ Bucket, Key: "path/\u00fc +", Body: "body" })));
const hosted = new S3Client(named);
await say("s3 hosted put", hosted.send(new PutObjectCommand({ Bucket, Key: "host/a b", Body: "body" })));
await say("s3 hosted head", hosted.send(new HeadObjectCommand({ Bucket, Key: "host/a b" })));
await say("s3 hosted list", hosted.send(new ListObjectsV2Command({ Bucket })));
await say("s3 hosted tags", hosted.send(new PutBucketTaggingCommand({
  Bucket, Tagging: { TagSet: [{ Key: "k", Value: "<&>" }] } })));
await say("s3 hosted error", hosted.send(new GetObjectCommand({ Bucket, Key: "absent" })));
// A stream has no hash before it is sent: aws-chunked, with a checksum in the trailer.
await say("s3 streamed", path.send(new PutObjectCommand({
  Bucket, Key: "streamed", Body: Readable.from([Buffer.alloc(70000, "a"), Buffer.alloc(70000, "b")]),
  ContentLength: 140000 })));
const size = 11 * 1024 * 1024;
await say("s3 parts", new Upload({
  client: path, params: { Bucket, Key: "parts", Body: Buffer.alloc(size, "p") } }).done());
const url = await getSignedUrl(hosted, new GetObjectCommand({ Bucket, Key: "host/a b" }));
await say("s3 presigned", new Promise((done, failed) => {
  http.get(url, { agent }, (answer) => {
    let text = "";
    answer.on("data", (piece) => { text += piece; });
    answer.on("end", () => done({ status: answer.statusCode, text }));
  }).on("error", failed);
}));

// A host prefix (the account, before the host's name), kept and switched off.
const account = { AccountId: "123456789012" };
await say("s3control", new S3ControlClient(named).send(new GetPublicAccessBlockCommand(account)));

// OpenTrail's own API, by a prefix that the signature covers.
const admin = { accessKeyId: process.env.ADMIN_KEY, secretAccessKey: process.env.ADMIN_SECRET };
const trail = new CloudTrailClient({
  ...settings(`http://127.0.0.1:${port}/_svc/cloudtrail`), credentials: admin });
await say("cloudtrail", trail.send(new LookupEventsCommand({
  LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "CreateTopic" }] })));
await say("cloudtrail error", trail.send(new LookupEventsCommand({ NextToken: "wrong" })));
// A prefix that contradicts the signature is refused, in the protocol's own form.
await say("contradiction", new SNSClient(
  settings(`http://127.0.0.1:${port}/_svc/sqs`)).send(new CreateTopicCommand({ Name: "x" })));
await say("own prefix", new SNSClient(
  settings(`http://127.0.0.1:${port}/_svc/sns`)).send(new CreateTopicCommand({ Name: "prefixed" })));
agent.destroy();
