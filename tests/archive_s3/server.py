"""Prepares a moto server: a bucket, one user who may archive and one who may nothing; from then on it asks who comes.

Usage: server.py ENDPOINT BUCKET. Prints lines for a shell.
"""

import json
import sys
import urllib.request

import boto3

ENDPOINT, BUCKET = sys.argv[1:]
ANYBODY = {"endpoint_url": ENDPOINT, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
# What an archive needs; listing any bucket, so that one that is not there is told apart from one that is forbidden.
RIGHTS = [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::*"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"},
]


def user(iam, name):
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    print(f"{name}=(AWS_ACCESS_KEY_ID={key['AccessKeyId']} AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']})")


def main():
    boto3.client("s3", **ANYBODY).create_bucket(Bucket=BUCKET)
    iam = boto3.client("iam", **ANYBODY)
    user(iam, "archivist")
    user(iam, "stranger")
    policy = json.dumps({"Version": "2012-10-17", "Statement": RIGHTS})
    iam.put_user_policy(UserName="archivist", PolicyName="archive", PolicyDocument=policy)
    asking = urllib.request.Request(f"{ENDPOINT}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(asking, timeout=30)


main()
